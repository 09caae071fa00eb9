//! Reads the address in a secret. People write addresses in many ways. One that can mean only one thing is accepted.
//! One that a connection over TCP cannot use is refused at once, and the error says what to give instead.
//!
//! No message repeats the address, because some ways of writing one contain a password.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest DNS name in bytes.
const MAX_HOST_BYTES: usize = 253;
/// The longest part of a DNS name between two dots, in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// A host, and a port if the address has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// What is said of an address that means the machine that uses it.
const THIS_MACHINE: &str = "it means this machine: give the server's DNS name or IP address; where the server does run on this \
     machine, that is localhost";

/// Reads an address. The error says what the text is instead, and what to give.
pub(super) fn read(text: &str) -> Result<Address, &'static str> {
    let address = parsed(text)?;
    // However it is written, an address without a value is none to connect to.
    match address.host.parse::<IpAddr>() {
        Ok(host) if host.to_canonical().is_unspecified() => Err(THIS_MACHINE),
        _ => Ok(address),
    }
}

fn parsed(text: &str) -> Result<Address, &'static str> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let address = match lower.strip_prefix("tcp:") {
        Some(rest) => text[text.len() - rest.len()..].trim_start(),
        None => text,
    };
    refuse_other_ways(address)?;
    if let Some((host, digits)) = address.split_once(',')
        && host.trim_end().parse::<Ipv6Addr>().is_ok()
    {
        return Ok(Address {
            host: host.trim_end().to_owned(),
            port: Some(port(digits)?),
        });
    }
    if address.parse::<Ipv6Addr>().is_ok() {
        return Ok(Address {
            host: address.to_owned(),
            port: None,
        });
    }
    if let Some(rest) = address.strip_prefix('[') {
        return bracketed(rest);
    }
    let (host, port) = match address.find([',', ':']) {
        Some(at) => (&address[..at], Some(port(&address[at + 1..])?)),
        None => (address, None),
    };
    Ok(Address {
        host: name(host.trim_end())?,
        port,
    })
}

/// Refuses addresses of other programs that a connection over TCP to a port cannot use.
fn refuse_other_ways(address: &str) -> Result<(), &'static str> {
    let lower = address.to_ascii_lowercase();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| lower.starts_with(prefix));
    let refusal = if address.is_empty() {
        "it is empty: give the server's DNS name or IP address"
    } else if begins(&["arn:"]) {
        "it is an ARN: give the endpoint that the console shows for the database"
    } else if address.contains(['=', ';']) {
        "it is a connection string: give the server's DNS name or IP address alone, and everything else in fields of its own"
    } else if address.contains("://") || begins(&["jdbc:"]) || address.contains('@') {
        "it is a URL: give the server's DNS name or IP address alone, and everything else in fields of its own"
    } else if begins(&["\\\\", "np:"]) {
        "it is a named pipe, and connections are made over TCP: give the server's DNS name or IP address, and its TCP port as \
         port"
    } else if begins(&["lpc:", "admin:", "(localdb)"]) {
        "it is reachable only on the server's own machine: give the server's DNS name or IP address"
    } else if matches!(lower.as_str(), "." | "(local)")
        || begins(&[".\\", "(local)\\", ".,", "(local),", ".:", "(local):"])
    {
        THIS_MACHINE
    } else if address.contains('\\') {
        "it names an instance (host\\instance), which only SQL Server Browser could find: give the host alone, and as port the \
         TCP port of the instance, which SQL Server Configuration Manager shows"
    } else if address.contains('%') {
        "it has a zone (%…), which only the machine that it was written on knows: give the server's DNS name or another IP address"
    } else if address.contains('/') {
        "it has a path: give the server's DNS name or IP address alone, and the database as dbname"
    } else {
        return Ok(());
    };
    Err(refusal)
}

/// Reads the rest of an address after an opening bracket: an IPv6 address, and possibly a port.
fn bracketed(rest: &str) -> Result<Address, &'static str> {
    let (host, after) = rest.split_once(']').ok_or("its bracket is not closed")?;
    let host = host
        .parse::<Ipv6Addr>()
        .map_err(|_| "what stands in brackets is not an IPv6 address")?;
    let port = match after.trim_start().strip_prefix([':', ',']) {
        Some(digits) => Some(port(digits)?),
        None if after.trim().is_empty() => None,
        None => return Err("what follows the bracket is not a port"),
    };
    Ok(Address {
        host: host.to_string(),
        port,
    })
}

fn port(digits: &str) -> Result<u16, &'static str> {
    let port = digits.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or("what follows the host is not a port from 1 to 65535")
}

/// Checks an IPv4 address or a DNS name.
pub(super) fn name(host: &str) -> Result<String, &'static str> {
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(host.to_owned());
    }
    if !host.is_ascii() {
        return Err("it has characters that DNS does not know: give the name as DNS has it (xn--…)");
    }
    if host.contains(|c: char| c.is_ascii_whitespace()) {
        return Err("it has a blank in it: give the server's DNS name or IP address alone");
    }
    let is_label = |label: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() <= MAX_LABEL_BYTES && label.chars().all(is_known)
    };
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_numeric = |label: &str| label.chars().all(|c| c.is_ascii_digit());
    let is_address = labels.split('.').all(is_numeric);
    if is_address || labels.len() > MAX_HOST_BYTES || !labels.split('.').all(is_label) {
        return Err("it is neither a DNS name nor an IP address");
    }
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_mean_only_one_thing_is_taken() {
        for (text, host, port) in [
            ("db.example.com", "db.example.com", None),
            ("  db\n", "db", None),
            ("localhost", "localhost", None),
            ("sql_1.internal.", "sql_1.internal.", None),
            ("127.0.0.1", "127.0.0.1", None),
            ("tcp:db", "db", None),
            ("TCP: db,1433", "db", Some(1433)),
            ("tcp:x.database.windows.net,1433", "x.database.windows.net", Some(1433)),
            ("db , 1444", "db", Some(1444)),
            ("db:1444", "db", Some(1444)),
            ("127.0.0.1:1444", "127.0.0.1", Some(1444)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[2001:db8::1]:1444", "2001:db8::1", Some(1444)),
            ("tcp:[2001:db8::1],1444", "2001:db8::1", Some(1444)),
            ("2001:db8::1,1444", "2001:db8::1", Some(1444)),
            ("tcp:::1 , 1444", "::1", Some(1444)),
        ] {
            let expected = Address {
                host: host.to_owned(),
                port,
            };
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_tcp_cannot_follow_is_refused_with_what_to_give_instead() {
        for (text, said) in [
            ("", "empty"),
            ("  ", "empty"),
            ("localhost\\SQLEXPRESS", "TCP port of the instance"),
            ("tcp:db\\inst,1433", "TCP port of the instance"),
            (".\\SQLEXPRESS", "this machine"),
            (".", "this machine"),
            ("(local)", "this machine"),
            ("(localdb)\\MSSQLLocalDB", "own machine"),
            ("lpc:db", "own machine"),
            ("admin:db", "own machine"),
            ("np:\\\\db\\pipe\\sql\\query", "named pipe"),
            ("\\\\db\\pipe\\sql\\query", "named pipe"),
            ("sqlserver://sa:hunter2@db:1433/sales", "URL"),
            ("jdbc:sqlserver://db", "URL"),
            ("sa:hunter2@db", "URL"),
            ("https://db.example.com", "URL"),
            ("Server=tcp:db,1433;Password=hunter2", "connection string"),
            ("db/sales", "path"),
            ("arn:aws:rds:eu-west-1:123456789012:db:sales", "ARN"),
            ("0.0.0.0", "this machine"),
            ("[::]", "this machine"),
            ("::", "this machine"),
            ("0.0.0.0,1433", "this machine"),
            ("tcp:0.0.0.0:1433", "this machine"),
            ("[::]:1433", "this machine"),
            ("::,1433", "this machine"),
            ("0:0:0:0:0:0:0:0", "this machine"),
            ("[0:0::0]", "this machine"),
            ("::ffff:0.0.0.0", "this machine"),
            ("db 1433", "blank"),
            ("db:", "port"),
            ("db:0", "port"),
            ("db,65536", "port"),
            ("db:1433:1433", "port"),
            ("[::1", "bracket"),
            ("[db]", "IPv6"),
            ("[::1]1433", "bracket"),
            ("fe80::1%eth0", "zone"),
            ("[fe80::1%2]:1433", "zone"),
            (".:1433", "this machine"),
            ("(LOCAL):1433", "this machine"),
            ("2001:db8::1,0", "port"),
            ("\u{feff}db", "xn--"),
            ("'db'", "neither"),
            ("256.1.1.1", "neither"),
            ("1433", "neither"),
            ("db..example.com", "neither"),
            ("größe.example.com", "xn--"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(
                refused.contains(said) && !refused.contains("hunter2"),
                "{text}: {refused}"
            );
        }
    }
}
