//! A way to a server on which replies come as late as a test wants.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is sent to `port` reaches the server at once; what it replies can be held back.
pub struct Slow {
    pub port: u16,
    held: watch::Sender<bool>,
}

impl Slow {
    /// A way to the server at this port.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (held, is_held) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, is_held.clone()));
            }
        });
        Self { port, held }
    }

    /// From now on no reply comes, until they may go on.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// What was held back comes now, to whoever still listens.
    pub fn release(&self) {
        self.held.send_replace(false);
    }
}

async fn carry(client: TcpStream, server: u16, mut held: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let ((mut asks, mut hears), (mut replies, mut takes)) = (client.into_split(), server.into_split());
    let back = async move {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = replies.read(&mut bytes).await {
            let free = held.wait_for(|held| !held).await.is_ok();
            if !free || hears.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(back, async move {
        let _ = copy(&mut asks, &mut takes).await;
        let _ = takes.shutdown().await;
    });
}
