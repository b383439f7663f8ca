//! A TCP proxy that stalls, delays and cuts what goes through it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
    sync::watch,
    time::sleep,
};

/// What is done to connections.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Pass,
    /// Nothing moves; connections stay.
    Stall,
    /// Every piece waits that long.
    Delay(Duration),
    /// New connections are closed at once.
    Refuse,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From client to server.
    Request,
    /// From server to client.
    Answer,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections that were made before the last cut are over.
    cuts: u64,
    stop: bool,
}

struct Shared {
    target: SocketAddr,
    state: watch::Sender<State>,
    /// How many bytes may still pass one way before everything is cut.
    left: Mutex<Option<(Way, usize)>>,
}

/// A proxy on a free port, in a thread of its own. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of a server.
    pub fn to(target: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(super::loopback(0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State {
            mode: Mode::Pass,
            cuts: 0,
            stop: false,
        });
        let shared = Arc::new(Shared {
            target,
            state,
            left: Mutex::default(),
        });
        let here = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { here.serve(TcpListener::from_std(listener).unwrap()).await });
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything goes through, as at the start.
    pub fn pass(&self) {
        *self.shared.left.lock().unwrap() = None;
        self.set(Mode::Pass);
    }

    /// Nothing moves any more. Connections stay, and new ones are accepted.
    pub fn stall(&self) {
        self.set(Mode::Stall);
    }

    /// Whatever goes through goes later.
    pub fn delay(&self, by: Duration) {
        self.set(Mode::Delay(by));
    }

    /// Cuts all connections. New ones go through.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts all connections, and refuses new ones.
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
        self.shared.cut();
    }

    /// Cuts all connections once so many bytes have gone one way from now: 0 of an answer lets the
    /// server read the whole request, and nobody learn of it.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        *self.shared.left.lock().unwrap() = Some((way, bytes));
    }

    /// Whether a cut that was asked for is still to come.
    pub fn will_cut(&self) -> bool {
        self.shared.left.lock().unwrap().is_some()
    }

    fn set(&self, mode: Mode) {
        self.shared.state.send_modify(|state| state.mode = mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state.send_modify(|state| state.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut state = self.state.subscribe();
        loop {
            tokio::select! {
                _ = state.wait_for(|state| state.stop) => return,
                accepted = listener.accept() => {
                    let Ok((client, _)) = accepted else { continue };
                    if self.state.borrow().mode != Mode::Refuse {
                        tokio::spawn(Arc::clone(&self).carry(client));
                    }
                }
            }
        }
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let mut state = self.state.subscribe();
        let cuts = state.borrow().cuts;
        let carried = async {
            let server = TcpStream::connect(self.target).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::select! {
                done = self.pump(Way::Request, &mut from_client, &mut to_server) => done,
                done = self.pump(Way::Answer, &mut from_server, &mut to_client) => done,
            }
        };
        tokio::select! {
            _ = carried => {}
            _ = state.wait_for(|state| state.cuts != cuts) => {}
        }
    }

    async fn pump(
        &self,
        way: Way,
        from: &mut (impl AsyncReadExt + Unpin),
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> io::Result<()> {
        let mut state = self.state.subscribe();
        let mut piece = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return Ok(());
            }
            let mode = *state.borrow_and_update();
            if let Mode::Delay(by) = mode.mode {
                sleep(by).await;
            }
            let _ = state.wait_for(|state| state.mode != Mode::Stall).await;
            let (pass, cut) = self.spend(way, read);
            to.write_all(&piece[..pass]).await?;
            if cut {
                self.cut();
                return Ok(());
            }
        }
    }

    /// How much of a piece passes, and whether the end is reached with it.
    fn spend(&self, way: Way, bytes: usize) -> (usize, bool) {
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            Some((counted, most)) if *counted == way => {
                if bytes >= *most {
                    let pass = *most;
                    *left = None;
                    return (pass, true);
                }
                *most -= bytes;
                (bytes, false)
            }
            _ => (bytes, false),
        }
    }
}
