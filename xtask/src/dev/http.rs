//! Just enough HTTP to ask the parts on this machine, without a client library.

use anyhow::{Context, Result, anyhow, bail};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::secrets::Secret;

/// Both time-outs: an answer on this machine takes milliseconds, one of a busy Worker a second.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A local answer is kilobytes; more is not one of ours.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// An answer.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body, text in all that is asked here.
    pub(crate) body: String,
}

/// Asks for a page.
pub(crate) fn get(port: u16, path: &str, token: Option<&Secret>) -> Result<Answer> {
    exchange(port, "GET", path, token, "")
}

/// Sends JSON.
pub(crate) fn post(
    port: u16,
    path: &str,
    token: &Secret,
    json: &serde_json::Value,
) -> Result<Answer> {
    exchange(port, "POST", path, Some(token), &json.to_string())
}

fn exchange(
    port: u16,
    method: &str,
    path: &str,
    token: Option<&Secret>,
    body: &str,
) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let token = token
        .map(|token| format!("Authorization: Bearer {}\r\n", token.expose()))
        .unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{token}Connection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    parse(&answer).with_context(|| format!("{method} {path}"))
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| anyhow!("the answer ended within its head"))?;
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8_lossy(head);
    let body = body.get(4..).unwrap_or_default();
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| anyhow!("the answer has no status"))?;
    let chunked = head.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.ends_with("chunked")
    });
    let body = if chunked {
        dechunk(body)?
    } else {
        body.to_vec()
    };
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .ok_or_else(|| anyhow!("the answer ended before its last chunk"))?;
        let (size, chunk) = rest.split_at(end);
        let size = usize::from_str_radix(String::from_utf8_lossy(size).trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let chunk = chunk.get(2..).unwrap_or_default();
        let Some((data, behind)) = chunk.split_at_checked(size) else {
            bail!("the answer ended within a chunk");
        };
        body.extend_from_slice(data);
        rest = behind.get(2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_come_whole_or_in_chunks() {
        let whole = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").unwrap();
        assert_eq!((whole.status, whole.body.as_str()), (200, "ab"));
        let chunks = parse(
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        let chunks = chunks.unwrap();
        assert_eq!((chunks.status, chunks.body.as_str()), (404, "abc"));
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nConte").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").is_err());
    }
}
