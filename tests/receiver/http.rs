//! One callback, and its answer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{PATH, SECRET};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub retry_after: bool,
}

/// Sends one callback, as the provider does, and waits for the answer as long as he would.
pub fn post(to: SocketAddr, body: &[u8]) -> io::Result<Reply> {
    post_at(to, &format!("{PATH}?token={SECRET}"), body)
}

/// The same to a path and query of one's own.
pub fn post_at(to: SocketAddr, target: &str, body: &[u8]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let answer = answer.to_ascii_lowercase();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status =
        status.ok_or_else(|| io::Error::other("the connection ended without an answer"))?;
    Ok(Reply {
        status,
        retry_after: answer.contains("\r\nretry-after:"),
    })
}
