//! A peer that resets its requests at once, as Envoy does for a client that disconnects.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{LIMIT, World};

// RFC 9113, sections 4.1 and 6.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:method`, `:scheme` and `:path`, as RFC 7541 writes them without a dynamic table.
fn headers(method: u8, path: &str) -> Vec<u8> {
    const SCHEME_HTTP: u8 = 0x86;
    const PATH: u8 = 0x04;
    let length = u8::try_from(path.len()).unwrap();
    [&[method, SCHEME_HTTP, PATH, length], path.as_bytes()].concat()
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// The kind and the stream of the next frame.
async fn next(stream: &mut TcpStream) -> (u8, u32) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]))
}

/// They come in one piece, so that the service sees each reset before it has looked at the request.
#[tokio::test]
async fn requests_that_are_reset_at_once_do_not_end_the_others() {
    let service = World::new().serve().await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    let last = 2 * 500 + 1;
    for id in (1..last).step_by(2) {
        bytes.extend(frame(HEADERS, END_HEADERS, id, &headers(POST, "/x")));
        bytes.extend(frame(RST_STREAM, 0, id, &CANCEL));
    }
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, last, &headers(GET, "/ready")));
    stream.write_all(&bytes).await.unwrap();
    let answered = async {
        loop {
            match next(&mut stream).await {
                (GOAWAY, _) => panic!("the connection ends"),
                (HEADERS, id) if id == last => return,
                _ => {}
            }
        }
    };
    timeout(LIMIT, answered).await.expect("no answer");
}
