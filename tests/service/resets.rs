//! Peers that reset their requests, as Envoy does for a client that disconnects, and peers that ask for nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use zonegate_testkit::gateway::Service;

use crate::world::{LIMIT, World};

// RFC 9113, sections 4.1 and 6.
const DATA: u8 = 0;
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

/// A connection whose requests have odd numbers, one after the other.
struct Peer {
    stream: TcpStream,
    next: u32,
}

impl Peer {
    async fn connect(service: &Service) -> Self {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat();
        stream.write_all(&preface).await.unwrap();
        Self { stream, next: 1 }
    }

    fn number(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Sends 500 requests, which are reset at once, in one piece: the service sees each reset before it has looked at the
    /// request. Returns their numbers.
    async fn reset_many(&mut self) -> Vec<u32> {
        let numbers: Vec<u32> = (0..500).map(|_| self.number()).collect();
        let bytes: Vec<Vec<u8>> = numbers
            .iter()
            .flat_map(|id| {
                let request = frame(HEADERS, END_HEADERS, *id, &headers(POST, "/x"));
                [request, frame(RST_STREAM, 0, *id, &CANCEL)]
            })
            .collect();
        self.stream.write_all(&bytes.concat()).await.unwrap();
        numbers
    }

    /// Asserts that the connection still serves requests.
    async fn assert_served(&mut self) {
        let asked = self.number();
        let request = frame(HEADERS, END_HEADERS | END_STREAM, asked, &headers(GET, "/ready"));
        self.stream.write_all(&request).await.unwrap();
        let answered = async {
            loop {
                match next(&mut self.stream).await {
                    (GOAWAY, _) => panic!("the connection ends"),
                    (HEADERS, id) if id == asked => return,
                    _ => {}
                }
            }
        };
        timeout(LIMIT, answered).await.expect("no answer");
    }
}

#[tokio::test]
async fn requests_that_are_reset_at_once_do_not_end_the_others() {
    let service = World::new().serve().await;
    let mut peer = Peer::connect(&service).await;
    peer.reset_many().await;
    peer.assert_served().await;
}

/// An answer and the next piece of a request can cross, so data comes for requests that are over. An Envoy keeps a
/// connection for days: however often this happens, the others go on.
#[tokio::test]
async fn data_for_requests_that_are_over_does_not_end_the_others() {
    let service = World::new().serve().await;
    let mut peer = Peer::connect(&service).await;
    for _ in 0..3 {
        let over = peer.reset_many().await;
        peer.assert_served().await;
        let data: Vec<Vec<u8>> = over.iter().map(|id| frame(DATA, 0, *id, b"x")).collect();
        peer.stream.write_all(&data.concat()).await.unwrap();
        peer.assert_served().await;
    }
}

/// They would take the places of others for ever.
#[tokio::test]
async fn a_connection_without_a_request_ends() {
    let service = World::new().serve().await;
    let mut streams = Vec::new();
    for begun in [&b""[..], b"PRI * HTTP/2.0\r\n", b"GET /ready HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        stream.write_all(begun).await.unwrap();
        streams.push(stream);
    }
    for mut stream in streams {
        let ended = timeout(LIMIT, stream.read_to_end(&mut Vec::new())).await;
        ended.expect("it is open").unwrap();
    }
}
