//! A local server that speaks the protocol and plays a language model, to try a whole search without one:
//!
//! ```text
//! cargo run -p llm --features mock --example scripted_server
//! make search SEED=0 PROPOSER=openai API_BASE=http://127.0.0.1:PORT/v1 MODEL=player
//! ```
//!
//! It prints its address, and serves until its standard input ends or it is killed.

use std::io::{Read, Write};

use llm::mock::{Server, player};

fn main() -> std::io::Result<()> {
    let server = Server::start(player())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url())?;
    out.flush()?;
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}
