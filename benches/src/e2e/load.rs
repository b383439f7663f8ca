//! The load generator: one thread, many connections, on each of which a request follows an answer.
//!
//! Head and body go out in one packet: hyper closes the connection of a refused request whose body
//! has not come yet.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream as StdStream},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::traffic::Source;

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    After(Duration),
    /// After so many answers, or so long where they are slow to come.
    Answers(u64, Duration),
}

pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Not measured: until caches and compilers are warm.
    pub(crate) warm_up: Duration,
    pub(crate) end: End,
    pub(crate) expected: &'static [u8],
}

pub(crate) struct Measured {
    pub(crate) answers: u64,
    pub(crate) elapsed: Duration,
    /// In microseconds, corrected for coordinated omission: while an answer is late, its connection
    /// sends nothing, and what it would have sent is counted as having waited too.
    pub(crate) latencies: Histogram<u64>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    answer: Vec<u8>,
    received: usize,
}

/// No answer is longer.
const LONGEST: usize = 4096;

impl Load {
    /// Sends to a server; `begin` is called when the measurement begins.
    pub(crate) fn run(
        &self,
        address: SocketAddr,
        mut source: Source,
        begin: impl FnOnce(),
    ) -> io::Result<Measured> {
        let mut poll = Poll::new()?;
        let mut connections = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let stream = StdStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            let mut connection = Connection {
                stream,
                sent: Instant::now(),
                answer: vec![0; LONGEST],
                received: 0,
            };
            connection.send(source.next())?;
            connections.push(connection);
        }
        let start = Instant::now();
        let mut measured_from = start;
        let mut begin = Some(begin);
        let mut answers = 0;
        let mut latencies =
            Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other)?;
        let mut events = Events::with_capacity(1024);
        loop {
            poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "no answer for ten seconds",
                ));
            }
            for event in &events {
                let connection = &mut connections[event.token().0];
                if !connection.receive(self.expected)? {
                    continue;
                }
                let now = Instant::now();
                if begin.is_none() {
                    answers += 1;
                    let latency = now.duration_since(connection.sent).as_micros();
                    latencies.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
                }
                connection.sent = now;
                connection.send(source.next())?;
            }
            let now = Instant::now();
            if now.duration_since(start) >= self.warm_up
                && let Some(begin) = begin.take()
            {
                begin();
                measured_from = now;
                continue;
            }
            let elapsed = now.duration_since(measured_from);
            let is_over = begin.is_none()
                && match self.end {
                    End::After(time) => elapsed >= time,
                    End::Answers(enough, time) => answers >= enough || elapsed >= time,
                };
            if is_over {
                return Ok(Measured {
                    answers,
                    elapsed,
                    latencies: corrected(&latencies, elapsed, answers, self.connections),
                });
            }
        }
    }
}

/// In a closed loop a connection sends, on average, that often.
fn corrected(
    raw: &Histogram<u64>,
    elapsed: Duration,
    answers: u64,
    connections: usize,
) -> Histogram<u64> {
    let interval = elapsed.as_micros() as f64 * connections as f64 / answers.max(1) as f64;
    raw.clone_correct(interval.ceil() as u64)
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        // The socket's buffer is empty, and larger than a request.
        let sent = self.stream.write(request)?;
        if sent == request.len() {
            return Ok(());
        }
        Err(io::Error::new(
            ErrorKind::WriteZero,
            "a request did not fit into a socket",
        ))
    }

    /// Whether the answer is whole.
    fn receive(&mut self, expected: &[u8]) -> io::Result<bool> {
        match self.stream.read(&mut self.answer[self.received..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.received += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let answer = &self.answer[..self.received];
        let Some(length) = length(answer) else {
            return Ok(false);
        };
        if answer.len() < length {
            return Ok(false);
        }
        if answer.len() > length || !answer.starts_with(expected) {
            let answer = answer.escape_ascii().to_string();
            return Err(io::Error::new(ErrorKind::InvalidData, answer));
        }
        self.received = 0;
        Ok(true)
    }
}

/// The length of an answer whose head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let mut lines = answer[..head].split(|byte| *byte == b'\n');
    let body = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(b"content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:")
            .then_some(value)
    });
    let digits = body
        .unwrap_or_default()
        .iter()
        .filter(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    Some(head + body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::{corrected, length};

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\ndate: x\r\n\r\n{";
        assert_eq!(length(answer), Some(answer.len() - 1 + 12));
        assert_eq!(length(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), Some(29));
        assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-length: 1"), None);
    }

    #[test]
    fn who_was_not_sent_during_a_pause_has_waited_too() {
        let mut raw = Histogram::<u64>::new(3).unwrap();
        raw.record_n(100, 999).unwrap();
        raw.record(100_000).unwrap();
        assert!(raw.value_at_quantile(0.99) <= 100);
        // A second, a thousand answers, one connection: one a millisecond.
        let corrected = corrected(&raw, Duration::from_secs(1), 1000, 1);
        assert_eq!(corrected.len(), 1000 + 99);
        assert!(corrected.value_at_quantile(0.99) > 80_000);
    }
}
