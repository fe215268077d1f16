//! Every command that clients send to a Redis, as the server itself tells (MONITOR).

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use super::{Redis, within};

/// What is asked by tests themselves, and what a connection for messages is set up with.
const ASIDE: [&str; 5] = ["KEYS", "INFO", "PTTL", "SUBSCRIBE", "UNSUBSCRIBE"];

/// Told of all commands from its start on.
pub struct Watch<'r> {
    redis: &'r Redis,
    told: Lines<BufReader<TcpStream>>,
    looks: u32,
}

impl<'r> Watch<'r> {
    pub(super) async fn start(redis: &'r Redis) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut told = BufReader::new(stream).lines();
        assert_eq!(told.next_line().await.unwrap().as_deref(), Some("+OK"));
        Self { redis, told, looks: 0 }
    }

    /// The commands since the last look that have `part` in them, as clients sent them: a script is one,
    /// whatever it calls itself. What sidecars agree on once in five seconds is not among them.
    pub async fn seen(&mut self, part: &str) -> Vec<String> {
        self.looks += 1;
        let mark = format!("look {}", self.looks);
        self.redis.cli(&["ECHO", &mark]);
        let mut seen = Vec::new();
        within("the mark", async {
            loop {
                let line = self.told.next_line().await.unwrap().expect("the server tells on");
                if line.contains(&mark) {
                    return;
                }
                // +1700000000.123456 [0 127.0.0.1:50000] "GET" "key"
                let (client, command) = line.split_once("] ").unwrap();
                let aside = ASIDE.contains(&name(command)) || command.contains(":{all}:");
                if !client.ends_with(" lua") && command.contains(part) && !aside {
                    seen.push(command.to_owned());
                }
            }
        })
        .await;
        seen
    }

    /// The names of those commands, in their order.
    pub async fn names(&mut self, part: &str) -> Vec<String> {
        self.seen(part).await.iter().map(|command| name(command).to_owned()).collect()
    }
}

fn name(command: &str) -> &str {
    command.trim_start_matches('"').split('"').next().unwrap()
}
