//! A server with one video that is as long as one likes.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use tower_callback::BoxError;

/// The head of an MP4 file, which the downloader looks for.
const HEAD: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";
const BLOCK: usize = 1024 * 1024;

/// Serves until the process ends; tells the URL. A plain thread for each connection: it costs the
/// machine as little as a server can.
pub(super) fn serve(length: u64) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/video.mp4", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                if let Err(error) = answer(&stream, length) {
                    eprintln!("the video broke off: {error}");
                }
            });
        }
    });
    Ok(url)
}

fn answer(mut stream: &TcpStream, length: u64) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            break;
        }
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    let mut block = vec![0; BLOCK];
    fastrand::fill(&mut block);
    block[..HEAD.len()].copy_from_slice(HEAD);
    let mut left = length;
    while left > 0 {
        let piece = left.min(BLOCK as u64);
        // No longer than a block.
        stream.write_all(&block[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}
