//! What `/proc` tells about other processes.

use std::fs;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    /// The name of its program, cut to 15 bytes by the kernel.
    pub(crate) name: String,
}

/// The state that `/proc/net/tcp` gives to a listening socket.
const LISTEN: &str = "0A";

/// The process that listens on a TCP port, if this user may see it.
pub(crate) fn listener(port: u16) -> Option<Process> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    pids().find(|pid| holds(*pid, &sockets)).and_then(process)
}

/// The living processes of a group.
pub(crate) fn group(id: u32) -> Vec<Process> {
    pids()
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.group == id))
        .filter_map(process)
        .collect()
}

/// The command line of a process; empty when there is none to see.
pub(crate) fn arguments(pid: u32) -> String {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).replace('\0', " ")
}

/// Whether a process lives; one that has ended and waits to be collected does not.
pub(crate) fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// What is read of `/proc/<pid>/stat`.
struct Stat {
    state: char,
    group: u32,
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn process(pid: u32) -> Option<Process> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    lives(pid).then(|| Process {
        pid,
        name: name.trim().to_owned(),
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so the fields are counted from behind it.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some(Stat { state, group })
}

fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let inode = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let matches = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        matches
            .then(|| fields.get(9).map(|inode| (*inode).to_owned()))
            .flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|to| {
            sockets
                .iter()
                .any(|socket| to.as_os_str() == socket.as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = parse_stat("12 (a) b) S 1 77 77 0 -1").unwrap();
        assert_eq!((stat.state, stat.group), ('S', 77));
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0\n\
             1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0\n";
        assert_eq!(listening_inodes(table, 8080), ["11"]);
    }

    #[test]
    fn this_process_lives_and_is_in_its_group() {
        let pid = std::process::id();
        assert!(lives(pid));
        let own = stat(pid).unwrap().group;
        assert!(group(own).iter().any(|process| process.pid == pid));
    }
}
