//! Scenario e: messages on open streams, in both directions.
//!
//! Each stream carries one message at a time, and the next one is sent when the far end has it. A filter adds this cost
//! for as long as a stream lives.

use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use zonegate_testkit::raw_client::grpc_frame;

use crate::client::{ClaimedProxy, Client, Open};
use crate::control_plane::{Arrived, ControlPlane};
use crate::envoy::Envoy;
use crate::results::{Row, Scenario};
use crate::rounds::{alternate, metered};

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the proxy to the control plane.
    Requests,
    /// From the control plane to the proxy.
    Responses,
}

/// The size of messages, and how many a turn has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    /// The number of messages in a turn is the number of requests in a turn, divided by this.
    pub(crate) share: usize,
}

/// The sizes that are measured.
pub(crate) const SIZES: [Size; 2] = [
    Size { name: "small", bytes: 200, share: 1 },
    Size { name: "1 MiB", bytes: 1024 * 1024, share: 20 },
];

/// One stream, with both of its ends.
pub(crate) struct Stream {
    _client: Client,
    near: Open,
    far: Arrived,
}

impl Stream {
    /// Opens a stream through `envoy` to `plane`.
    pub(crate) async fn open(
        envoy: &Envoy,
        plane: &mut ControlPlane,
        token: &str,
    ) -> anyhow::Result<Self> {
        let mut client = Client::connect(envoy.address, ClaimedProxy::INGRESS).await?;
        let near = client.open(token.parse()?).await?;
        let mut far = plane.next().await?;
        let first = client.first_message_length();
        read(&mut far.requests, first).await?;
        Ok(Self { _client: client, near, far })
    }

    async fn pass(&mut self, direction: Direction, message: Bytes) -> anyhow::Result<Duration> {
        let start = Instant::now();
        match direction {
            Direction::Requests => {
                exchange(&mut self.near.requests, &mut self.far.requests, message).await?;
            }
            Direction::Responses => {
                exchange(&mut self.far.responses, &mut self.near.responses, message).await?;
            }
        }
        Ok(start.elapsed())
    }
}

/// Measures one direction and size; the first Envoy is the one without a filter.
pub(crate) async fn run(
    envoys: &[&Envoy],
    streams: &mut [Vec<Stream>],
    direction: Direction,
    size: Size,
    (rounds, count): (usize, usize),
) -> anyhow::Result<Scenario> {
    let message: Bytes = grpc_frame(&vec![b'x'; size.bytes]).into();
    let count = (count / size.share).max(1);
    for stream in streams.iter_mut().flatten() {
        stream.pass(direction, message.clone()).await?;
    }
    let rows: Vec<Row> = alternate(envoys, rounds, async |index, _| {
        metered(envoys[index], &mut streams[index], count, async |stream, _| {
            stream.pass(direction, message.clone()).await
        })
        .await
    })
    .await?;
    let way = format!("{direction:?}").to_lowercase();
    Ok(Scenario {
        id: format!("e {way}, {}", size.name),
        title: format!("{} messages on open streams ({way})", size.name),
        rows,
    })
}

async fn exchange(
    from: &mut SendStream<Bytes>,
    to: &mut RecvStream,
    message: Bytes,
) -> anyhow::Result<()> {
    let length = message.len();
    from.send_data(message, false)?;
    read(to, length).await
}

/// Reads `length` bytes.
async fn read(from: &mut RecvStream, mut length: usize) -> anyhow::Result<()> {
    while length > 0 {
        let Some(piece) = from.data().await else { bail!("the stream has ended") };
        let piece = piece?;
        from.flow_control().release_capacity(piece.len())?;
        length = length.saturating_sub(piece.len());
    }
    Ok(())
}
