//! Processes that end with this program, and that can be killed and frozen with all that they started.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

use rustix::process::{Pid, Signal, kill_process};

use crate::{until, until_told};

/// How much of a log is shown when its server does not start.
const LOG_SHOWN_BYTES: usize = 4_000;

/// A program that is started again and again in the same way; at most one process of it runs.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// All that it is told by variables; none: what this program was told.
    environment: Option<Vec<(String, OsString)>>,
    /// Who runs it; none: whoever runs this program.
    user: Option<String>,
    /// What asks it to end well.
    stopped_by: Signal,
    log: PathBuf,
    running: Mutex<Option<Child>>,
}

impl Process {
    /// Describes a program, and starts nothing. What it writes goes to the end of a file.
    #[must_use]
    pub fn new(program: &Path, arguments: &[&str], user: Option<&str>, log: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: None,
            user: user.map(str::to_owned),
            stopped_by: Signal::TERM,
            log: log.to_owned(),
            running: Mutex::new(None),
        }
    }

    /// Gives it these variables, those of earlier calls, and PATH, and no others.
    #[must_use]
    pub fn with_environment<V: AsRef<OsStr>>(mut self, variables: &[(&str, V)]) -> Self {
        let path = || vec![("PATH".to_owned(), std::env::var_os("PATH").unwrap_or_default())];
        let given = variables.iter().map(|(name, it)| ((*name).to_owned(), it.as_ref().to_owned()));
        self.environment.get_or_insert_with(path).extend(given);
        self
    }

    /// Says what asks it to end well, where that is not SIGTERM.
    #[must_use]
    pub const fn stopped_by(mut self, signal: Signal) -> Self {
        self.stopped_by = signal;
        self
    }

    /// Starts it, which must not be running.
    pub fn start(&self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log");
        let mut command = as_user(self.user.as_deref(), &["--pdeathsig=KILL"]);
        command.arg(&self.program).args(&self.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        // Ctrl-C is for the test program; a folder that is removed is nobody's working directory.
        command.process_group(0).current_dir("/");
        let mut running = self.running();
        assert!(running.is_none(), "{} is running already", self.program.display());
        *running = Some(spawn(command));
    }

    /// Whether a process runs, frozen or not.
    #[must_use]
    pub fn runs(&self) -> bool {
        let mut running = self.running();
        let ended = running.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        if ended {
            *running = None;
        }
        running.is_some()
    }

    /// Freezes it with all that it started, as a machine does that swaps, or a hypervisor that moves it; returns when
    /// none of its threads runs.
    pub fn sigstop(&self) {
        let all = self.signal_all(Signal::STOP);
        until("a server to be frozen", || all.iter().all(|pid| is_frozen(*pid)).then_some(()));
    }

    /// Lets it go on.
    pub fn sigcont(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) -> Vec<u32> {
        let all = self.family();
        all.iter().for_each(|pid| send(*pid, signal));
        all
    }

    /// Ends it as a power cut would, with all that it started; returns when they are gone. Its files stay.
    pub fn kill9(&self) {
        let Some(mut child) = self.running().take() else { return };
        // Frozen first: it starts nothing more while its children are looked up.
        send(child.id(), Signal::STOP);
        let all = family(child.id());
        for pid in all.iter().rev() {
            send(*pid, Signal::KILL);
        }
        let _ = child.wait();
        until("killed processes to be gone", || all.iter().all(|pid| is_gone(*pid)).then_some(()));
    }

    /// Asks it to end well, and waits until it has. Its files stay.
    pub fn stop(&self) {
        let Some(mut child) = self.running().take() else { return };
        send(child.id(), Signal::CONT);
        send(child.id(), self.stopped_by);
        let what = || format!("a server to end, {:?}; {}", self.arguments, self.log_end());
        until_told(what, || match child.try_wait() {
            Ok(Some(_)) => Some(()),
            Ok(None) | Err(_) => None,
        });
    }

    /// Its process and all that it started, by number.
    #[must_use]
    pub fn family(&self) -> Vec<u32> {
        self.running().as_ref().map(|child| family(child.id())).unwrap_or_default()
    }

    /// What it wrote, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it wrote.
    #[must_use]
    pub fn log_end(&self) -> String {
        let log = self.log();
        let start = log.len().saturating_sub(LOG_SHOWN_BYTES);
        let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or_default();
        format!("{} wrote:\n{}", self.program.display(), log.get(start..).unwrap_or_default())
    }

    fn running(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A command to which a program and its arguments are to be added, run as another user if one is named.
pub(crate) fn as_user(user: Option<&str>, options: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
    }
    command.args(options);
    command
}

/// Starts a command from a thread that lives as long as this program: the kernel's "kill it when the parent dies"
/// means the thread, and the thread of a test ends with the test.
fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, answered) = mpsc::channel();
    orders.send((command, answer)).expect("the thread lives as long as this program");
    let spawned = answered.recv().expect("the thread answers");
    spawned.expect("setpriv runs; Debian has it in util-linux")
}

/// A process and its descendants, parents first.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    all
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended, which is as good.
    let _ = pid.map(|pid| kill_process(pid, signal));
}

/// True when no thread of a process runs, for it is stopped or gone.
fn is_frozen(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| state(&thread.path()).is_none_or(|state| "TtZX".contains(state)))
}

/// Whether nothing of a process is left but a line that nobody has read.
fn is_gone(pid: u32) -> bool {
    state(Path::new(&format!("/proc/{pid}"))).is_none_or(|state| "ZX".contains(state))
}

/// The letter for what a process or a thread is at, by its folder in `/proc`; none when it is not there.
fn state(folder: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
