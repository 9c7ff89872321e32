//! An embedding model that answers at once, so that only the server's own part is measured.

use std::fmt::Write as _;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Numbers in a vector.
const DIMENSION: usize = 384;

/// Starts one that ends with this process; settings that make it the memory's embedding model.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that goes away ends its own connection only.
            tokio::spawn(async move { drop(serve(socket).await) });
        }
    });
    format!(
        "[models]\ndefault = \"builtin/assistant\"\n[[models.providers]]\nname = \"quick\"\nkind = \"openai\"\n\
         base_url = \"http://{address}/v1\"\nmodels = []\n[memory]\nembedder = \"quick/words\"\n"
    )
}

async fn serve(socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        let body: Value = serde_json::from_slice(&body)?;
        let texts = body["input"].as_array().unwrap();
        let answer = answer(texts);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(answer.as_bytes()).await?;
    }
}

fn answer(texts: &[Value]) -> String {
    let mut answer = String::from("{\"object\":\"list\",\"model\":\"words\",\"data\":[");
    for (index, text) in texts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let vector = vector(text.as_str().unwrap());
        // Writing to a String cannot fail.
        let _ = write!(
            answer,
            "{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{vector:?}}}"
        );
    }
    answer.push_str("],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}");
    answer
}

/// Every word turns the vector into a direction of its own.
fn vector(text: &str) -> Vec<i32> {
    let mut vector = vec![0; DIMENSION];
    for word in text.split_whitespace() {
        let mut hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        for number in &mut vector {
            hash = hash.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *number += if hash >> 63 == 0 { 1 } else { -1 };
        }
    }
    vector
}
