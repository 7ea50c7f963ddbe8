use std::sync::Arc;

use wharf_call::ports::Account;

use super::super::job::{Bounds, CodeSettings, Compatibility};
use super::*;

/// A budget that has room for so many bytes at once, and counts nothing back.
struct Room(u64);

impl Account for Room {
    fn take(&self, bytes: u64) -> bool {
        bytes <= self.0
    }
    fn give_back(&self, _: u64) {}
}

impl Memory for Room {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(Arc::new(Room(self.0)), bytes)
    }
}

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(60), memory_bytes: 1 << 20, threads: 1 };

/// Has a shell stand for the compiler: a compiler that is out of its mind is easily written in one.
fn sh(script: &str, bounds: Bounds, room: u64, abandoned: &AtomicBool) -> Result<Vec<u8>, Failed> {
    let command = CompileCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
    };
    // More than a pipe holds.
    let component = vec![7; 1 << 20];
    let job = Job {
        parent: std::process::id(),
        settings: CodeSettings { memory_reservation: 0 },
        compatibility: Compatibility([0; 32]),
        bounds,
        debug_info: false,
        component_bytes: component.len() as u64,
    };
    compile(&command, &job, &component, &Room(room), abandoned).map(|compiled| compiled.code)
}

fn run(script: &str) -> Result<Vec<u8>, Failed> {
    sh(script, BOUNDS, u64::MAX, &AtomicBool::new(false))
}

#[test]
fn what_it_writes_is_the_code_and_it_gets_the_whole_job() {
    let code = run("wc -c").expect("it works");
    let sent = (Job::BYTES + (1 << 20)).to_string();
    assert_eq!(String::from_utf8_lossy(&code).trim(), sent);
    assert_eq!(run("printf code").expect("it need not read"), b"code");
}

#[test]
fn what_it_says_is_why_there_is_no_code_and_is_cut() {
    let Err(Failed::Refused(said)) = run("echo no >&2; exit 1") else { panic!("it refused") };
    assert_eq!(said, "no");
    let Err(Failed::Refused(said)) = run("yes no | head -c 1000000 >&2; exit 1") else {
        panic!("it refused")
    };
    assert!(said.len() <= SAID_BYTES_MAX && said.starts_with("no\nno"), "{} bytes", said.len());
}

#[test]
fn every_other_end_is_its_death() {
    for (script, signal, code) in
        [("kill -SEGV $$", Some(11), None), ("echo x >&2; exit 101", None, Some(101))]
    {
        let Err(Failed::Died { status, .. }) = run(script) else { panic!("{script} is no good end") };
        assert_eq!((status.signal(), status.code()), (signal, code));
    }
}

#[test]
fn one_that_says_that_it_had_no_memory_had_none() {
    let script = "echo memory allocation of 64 bytes failed >&2; kill -ABRT $$";
    assert!(matches!(run(script), Err(Failed::Memory)));
}

#[test]
fn no_code_is_none() {
    assert!(matches!(run("true"), Err(Failed::Code(_))));
}

#[test]
fn more_code_than_memory_is_not_taken() {
    let taken = run("head -c 2000000 /dev/zero");
    assert!(matches!(taken, Err(Failed::Code(_))), "{taken:?}");
}

#[test]
fn it_is_ended_when_its_time_is_up() {
    let bounds = Bounds { time: Duration::from_millis(200), ..BOUNDS };
    let ended = sh("sleep 1000", bounds, u64::MAX, &AtomicBool::new(false));
    assert!(matches!(ended, Err(Failed::Time)), "{ended:?}");
}

#[test]
fn one_that_closes_its_voice_and_goes_on_is_ended() {
    let ended = run("exec 2>&-; exec sleep 1000");
    assert!(matches!(&ended, Err(Failed::Died { status, .. }) if status.signal() == Some(9)), "{ended:?}");
}

#[test]
fn it_is_ended_when_nobody_waits_any_more() {
    let abandoned = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let compiling = scope.spawn(|| sh("sleep 1000", BOUNDS, u64::MAX, &abandoned));
        abandoned.store(true, Relaxed);
        compiling.join().expect("does not panic")
    });
    assert!(matches!(ended, Err(Failed::Abandoned)), "{ended:?}");
}

#[test]
fn it_is_ended_when_the_host_has_no_room_for_it() {
    let ended = sh("sleep 1000", BOUNDS, 4096, &AtomicBool::new(false));
    assert!(matches!(ended, Err(Failed::Budget)), "{ended:?}");
}

#[test]
fn a_program_that_is_not_there_is_said_not_to_be() {
    let command =
        CompileCommand { program: "/nowhere".into(), arguments: Vec::new(), environment: Vec::new() };
    let job = Job {
        parent: 0,
        settings: CodeSettings { memory_reservation: 0 },
        compatibility: Compatibility([0; 32]),
        bounds: BOUNDS,
        debug_info: false,
        component_bytes: 0,
    };
    let failed = compile(&command, &job, &[], &Room(u64::MAX), &AtomicBool::new(false)).map(|_| ());
    assert!(matches!(failed, Err(Failed::Start(_))), "{failed:?}");
}

#[test]
fn code_is_read_only_once_nobody_can_change_it() {
    let file = memory_file().expect("made");
    let other = file.try_clone().expect("another handle");
    (&file).write_all(b"code").expect("not sealed yet");
    assert_eq!(read_sealed(&file, 4).expect("sealed"), b"code");
    assert!((&other).write_all(b"x").is_err() && other.set_len(0).is_err() && other.set_len(9).is_err());
    // A file that is mapped for writing somewhere cannot be sealed.
    let mapped = memory_file().expect("made");
    (&mapped).write_all(&[0; 4096]).expect("not sealed yet");
    let (write, shared) = (rustix::mm::ProtFlags::WRITE, rustix::mm::MapFlags::SHARED);
    // SAFETY: a new mapping, which nothing uses and which is unmapped below.
    let at =
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, write, shared, &mapped, 0) }.expect("mapped");
    assert!(read_sealed(&mapped, 4096).is_err());
    // SAFETY: the mapping that was made above.
    unsafe { rustix::mm::munmap(at, 4096) }.expect("unmapped");
    assert!(read_sealed(&mapped, 4096).is_ok());
}
