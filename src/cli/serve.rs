//! `rotunda serve`: the room server alone.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rotunda::server::{ApiKey, Server, ServerConfig};

use super::{progress, runtime, say};

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A TOML file; flags win over it.
    #[arg(long, env = "ROTUNDA_CONFIG")]
    config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1 with --dev, else 0.0.0.0].
    #[arg(long, env = "ROTUNDA_BIND")]
    bind: Option<IpAddr>,
    /// Port for signalling (HTTP and WebSocket) [default: 7880].
    #[arg(long, env = "ROTUNDA_PORT")]
    port: Option<u16>,
    /// UDP and TCP port for media [default: 7882].
    #[arg(long, env = "ROTUNDA_RTC_PORT")]
    rtc_port: Option<u16>,
    /// Addresses told to clients for media instead of this machine's own: behind a port forwarding, the public one.
    #[arg(long, env = "ROTUNDA_NODE_IP", value_delimiter = ',')]
    node_ip: Vec<IpAddr>,
    /// API key and secret, written 'key: secret'; may be given more than once.
    #[arg(long, env = "ROTUNDA_KEYS", hide_env_values = true, value_delimiter = ',')]
    keys: Vec<String>,
    /// Let people in by links, which `rotunda token --invitation` makes.
    #[arg(long, env = "ROTUNDA_INVITATIONS")]
    invitations: bool,
    /// Development mode: the well-known key pair devkey / secret, loopback only.
    #[arg(long)]
    dev: bool,
}

pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = config(args)?;
    let invitations = config.invitations;
    let server = Server::start(config)?;
    say(format_args!("signalling {}", server.url()));
    say(format_args!("media      udp {}", server.rtc_addr()));
    if invitations {
        progress(
            "Invitations are on: rotunda token --room ROOM --invitation URL makes a link, URL being this server's.",
        );
    }
    progress("Press Ctrl-C to stop.");
    runtime::wait(None, Duration::from_secs(3600), || true)?;
    progress("Leaving: telling everyone in the rooms.");
    server.shutdown();
    Ok(())
}

fn config(args: &ServeArgs) -> anyhow::Result<ServerConfig> {
    let mut config = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            ServerConfig::from_toml(&text).with_context(|| format!("in {}", path.display()))?
        }
        None if args.dev => ServerConfig::dev(),
        None => ServerConfig { bind: IpAddr::from([0, 0, 0, 0]), ..ServerConfig::default() },
    };
    if args.dev {
        config.dev = true;
    }
    for pair in &args.keys {
        let (key, secret) = pair
            .split_once(':')
            .map(|(key, secret)| (key.trim(), secret.trim()))
            .filter(|(key, secret)| !key.is_empty() && !secret.is_empty())
            .with_context(|| "--keys takes 'key: secret', for example --keys 'mykey: a-long-random-secret'")?;
        config.keys.push(ApiKey { key: key.into(), secret: secret.into() });
    }
    config.invitations |= args.invitations;
    config.bind = args.bind.unwrap_or(config.bind);
    config.port = args.port.unwrap_or(config.port);
    config.rtc_port = args.rtc_port.unwrap_or(config.rtc_port);
    if !args.node_ip.is_empty() {
        config.advertise.clone_from(&args.node_ip);
    }
    Ok(config)
}
