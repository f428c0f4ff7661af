//! The heavy work on other machines: a real Slurm of three nodes, and scripted stand-ins of other queues.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Outcome, Signal, children, finish, kill9, make_search, root, run, shell, signal, skip, stage};

/// A cluster of its own, with every job on it, until it is dropped.
struct Cluster {
    folder: tempfile::TempDir,
    /// Further lines of its settings.
    more: &'static str,
}

impl Cluster {
    /// `None`, and a line that says so, where Slurm is not installed.
    fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// The same with further lines in its slurm.conf.
    fn start_with(more: &'static str) -> Option<Self> {
        let tools = "PATH=$PATH:/usr/sbin:/sbin; for tool in munged slurmctld slurmd sbatch squeue; do command -v $tool || exit 1; done";
        if shell(tools).code != Some(0) {
            skip("no Slurm here (Debian: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge)");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("slurm").tempdir_in("/var/tmp").expect("a folder");
        let cluster = Self { folder, more };
        for attempt in 0..5 {
            // Five ports, which tests that run beside this one do not take.
            let port = 20_000 + (u64::from(std::process::id()) * 7 + cluster.number() + attempt * 1000) % 30_000;
            if cluster.up(port).code == Some(0) {
                return Some(cluster);
            }
            cluster.down();
        }
        panic!("the cluster does not come up");
    }

    /// From the folder's name: another one in every test.
    fn number(&self) -> u64 {
        self.folder.path().as_os_str().as_encoded_bytes().iter().map(|byte| u64::from(*byte) * 5).sum()
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(root().join("tests/fixtures/slurm").join(name));
        command.arg(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn up(&self, port: u64) -> Outcome {
        let mut up = self.script("up.sh");
        up.arg(port.to_string()).env("SLURM_MORE", self.more);
        // Daemons keep what they were given: pipes would never close.
        let log = self.folder.path().join("up.log");
        fs::write(self.folder.path().join("port"), port.to_string()).expect("written");
        up.stdout(fs::File::create(&log).expect("a log")).stderr(fs::File::create(&log).expect("a log"));
        finish(up)
    }

    fn down(&self) {
        let mut down = self.script("down.sh");
        down.stdout(Stdio::null()).stderr(Stdio::null());
        let _ = down.status();
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// A command that finds this cluster.
    fn with(&self, mut command: Command) -> Command {
        command.env("SLURM_CONF", self.conf());
        command
    }

    fn ask(&self, line: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-c", line]).stdin(Stdio::null());
        finish(self.with(command)).stdout
    }

    /// The daemon of a node, killed like a node that loses its power: with all that runs on it.
    fn kill_node(&self, node: &str) {
        let pid = fs::read_to_string(self.folder.path().join(format!("run/slurmd.{node}.pid"))).expect("its pid");
        let line = format!(
            "kill -9 {0}; for pid in /proc/[0-9]*; do tr '\\0' '\\n' < $pid/environ 2>/dev/null | grep -qx SLURMD_NODENAME={node} \
             && tr '\\0' '\\n' < $pid/environ | grep -qx SLURM_CONF={1} && kill -9 ${{pid#/proc/}}; done; true",
            pid.trim(),
            self.conf().display()
        );
        self.ask(&line);
    }

    /// Starts what was killed.
    fn heal(&self) {
        let port = fs::read_to_string(self.folder.path().join("port")).expect("a port");
        self.up(port.parse().expect("a number")).ok();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.down();
    }
}

/// A tiny search through Slurm.
fn remote(cluster: &Cluster, folder: &Path, more: &[&str]) -> Command {
    let mut make = cluster.with(make_search(folder, 0));
    make.args(["ENGINE=slurm", "SLURM=--mem=900"]).args(more);
    make
}

fn archive(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("run/archive.parquet")).expect("an archive")
}

/// What the same search gives on this machine alone.
fn local_archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut make = make_search(folder.path(), 0);
        // Generations that do not overlap are what there is without the setting.
        make.arg("SET=search.lag=0");
        finish(make).ok();
        archive(folder.path())
    })
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_search_on_three_nodes_gives_the_local_archive_to_the_byte() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let first = finish(remote(&cluster, folder.path(), &["SET=engine.poll_s=1"])).ok();
    assert!(first.stderr.contains("sent as job "), "{}", first.stderr);
    assert!(archive(folder.path()) == local_archive(), "another archive");
    // Nothing is left in the queue or of batches, and the results say where they were made.
    assert_eq!(cluster.ask("squeue --noheader --states=PENDING,RUNNING"), "");
    let left = format!("find {0}/cache -name '*.job.json' -o -name 'emberline-*'", folder.path().display());
    assert_eq!(shell(&left).ok().stdout, "");
    let table = folder.path().join("run/gen001/trained.parquet").display().to_string();
    let rows = run("check", [table.as_str()]).ok().rows();
    let hosts: Vec<&str> = rows.iter().filter_map(|row| row["train_host"].as_str()).collect();
    assert!(!hosts.is_empty() && hosts.iter().all(|host| host.starts_with('n')), "{hosts:?}");
    let again = finish(remote(&cluster, folder.path(), &[])).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
}

/// Trainings of some seconds, so that they can be met in the middle.
const LONGER: &str = "SET=engine.poll_s=1 train.steps=2000 train.val_every=1000 train.checkpoint_s=0.5 train.max_seeds=1 \
                      train.time_limit_s=3000 confirm.top=0";

#[test]
#[ignore = "minutes: searches whose nodes, jobs, controller and senders are killed"]
fn whatever_is_killed_the_archive_is_the_same() {
    let Some(cluster) = Cluster::start() else { return };
    let (local, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut make = make_search(local.path(), 0);
    make.arg(LONGER);
    finish(make).ok();

    // Make is killed while jobs run. They go on, and the next one collects them.
    kill9(
        {
            let mut make = remote(&cluster, folder.path(), &[LONGER]);
            make.stdout(Stdio::null()).stderr(Stdio::null());
            make
        },
        Duration::from_secs(6),
        &folder.path().join("run"),
    );
    let mut make = remote(&cluster, folder.path(), &[LONGER]);
    let log = folder.path().join("log");
    make.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a log")).process_group(0);
    let mut search = make.spawn().expect("make starts");
    let running = || cluster.ask("squeue --noheader --array --states=RUNNING --format='%F_%K %N'");
    let job = || running().lines().next().map(str::to_owned);
    let mut done = Vec::new();
    let started = Instant::now();
    while search.try_wait().expect("it can be waited for").is_none() {
        assert!(started.elapsed() < Duration::from_secs(500), "{}", fs::read_to_string(&log).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(300));
        let Some((id, node)) =
            job().and_then(|line| line.split_once(' ').map(|(id, node)| (id.to_owned(), node.to_owned())))
        else {
            continue;
        };
        match done.len() {
            0 => drop(cluster.ask(&format!("scancel {id}"))),
            1 => drop(cluster.ask(&format!("scontrol requeue {id}"))),
            2 => cluster.kill_node(&node),
            3 => {
                cluster.ask("scontrol shutdown slurmctld");
                std::thread::sleep(Duration::from_secs(3));
                cluster.heal();
            }
            _ => continue,
        }
        done.push(format!("{id} on {node}"));
        std::thread::sleep(Duration::from_secs(4));
    }
    let log = fs::read_to_string(&log).unwrap_or_default();
    assert!(search.wait().expect("it has ended").success(), "{log}");
    assert_eq!(done.len(), 4, "the search was over before all was done to it: {done:?}");
    assert!(log.contains("it is sent again"), "{log}");
    assert!(archive(folder.path()) == archive(local.path()), "another archive after {done:?}\n{log}");
}

/// `train` of one program, through Slurm.
fn train(cluster: &Cluster, cache: &Path, args: &[&str]) -> Command {
    let mut command = cluster.with(stage("train"));
    command.args(["--config", "data/profiles/tiny.toml", "--cache"]).arg(cache);
    command.args(["--engine", "slurm", "--set", "engine.poll_s=0.5"]).args(args);
    command
}

#[test]
fn candidates_that_hang_or_eat_memory_are_rows_once() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let program = "data/processors/mpnn.py";
    let hang = ["--slurm=--mem=900", "--set", "train.steps=100000 train.time_limit_s=1 train.seeds=[1]", program];
    let row = finish(train(&cluster, &cache, &hang)).ok().rows().remove(0);
    assert_eq!((&row["status"], &row["reason"]), (&"timeout".into(), &"killed at the time limit (1 s)".into()));
    assert!(row["train_host"].as_str().is_some_and(|node| node.starts_with('n')), "{row}");
    let jobs = || cluster.ask("squeue --noheader --array --states=all").lines().count();
    let before = jobs();
    assert_eq!(finish(train(&cluster, &cache, &hang)).ok().rows().remove(0), row, "it is known");
    assert_eq!(jobs(), before, "nobody repeats it");

    // libtorch alone takes more than that, and for long enough that it is seen.
    let steps = "train.steps=400 train.val_every=200 train.seeds=[2]";
    let eat = ["--slurm=--mem=90", "--set", steps, program];
    let row = finish(train(&cluster, &cache, &eat)).ok().rows().remove(0);
    assert_eq!(row["status"], "oom", "{row}");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("MiB") && reason.contains(": n")), "{row}");
    let before = jobs();
    assert_eq!(finish(train(&cluster, &cache, &eat)).ok().rows().remove(0), row);
    assert_eq!(jobs(), before, "the same options give no more memory");
    // Others that give no more, and a higher limit than the node grants, are found out by the node, which begins nothing.
    let limit = format!("{steps} train.memory_limit_mb=9000");
    for other in [["--slurm=--mem=80", steps], ["--slurm=--mem=90", &limit]] {
        let other = [other[0], "--set", other[1], program];
        let again = finish(train(&cluster, &cache, &other)).ok().rows().remove(0);
        assert_eq!((&again["status"], &again["reason"]), (&row["status"], &row["reason"]));
    }
    // With more memory it is tried again.
    let more = ["--slurm=--mem=900", "--set", steps, program];
    assert_eq!(finish(train(&cluster, &cache, &more)).ok().rows().remove(0)["status"], "trained");

    // Options that no node can serve are a message, and no endless wait.
    let wrong = ["--slurm=--partition=none", "--set", "train.seeds=[3]", program];
    finish(train(&cluster, &cache, &wrong)).refused(1, &["slurm does not take the jobs", "partition"]);
}

#[test]
fn ctrl_c_takes_back_what_waits_and_the_next_call_collects_what_runs() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    // Six places on three nodes; two more have to wait.
    let sets = "train.steps=800 train.val_every=400 train.seeds=[1, 2, 3, 4, 5, 6, 7, 8] train.time_limit_s=3000";
    let args = ["--slurm=--mem=900", "--set", sets, "data/processors/mpnn.py"];
    let mut command = train(&cluster, &cache, &args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    let count = |state: &str| cluster.ask(&format!("squeue --noheader --array --states={state}")).lines().count();
    wait_until("six jobs run", || count("RUNNING") == 6 && count("PENDING") == 2);
    tests::signal(child.id(), tests::Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("2 waiting jobs cancelled, 6 running ones go on"), "{words}");
    assert_eq!((count("PENDING"), count("RUNNING") > 0), (0, true));

    let mut collect = stage("train");
    collect.args(["--config", "data/profiles/tiny.toml", "--collect", "--device", "cpu", "--set", sets, "--cache"]);
    collect.arg(&cache).arg("data/processors/mpnn.py");
    finish(collect).refused(3, &[" of 8 have no result in the cache yet"]);
    let again = finish(train(&cluster, &cache, &args)).ok();
    assert!(again.stderr.contains("2 of 8 sent as job"), "{}", again.stderr);
    assert_eq!(again.rows()[0]["status"], "trained");
    assert_eq!(cluster.ask("squeue --noheader --array --states=COMPLETED").lines().count(), 8, "each was trained once");
}

#[test]
fn more_jobs_than_an_array_may_have_are_several_arrays() {
    let Some(cluster) = Cluster::start_with("MaxArraySize=4") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let sets = "train.steps=2 train.val_every=2 train.seeds=[1, 2, 3, 4, 5, 6, 7, 8, 9]";
    let args = ["--slurm=--mem=900", "--set", sets, "data/processors/mpnn.py"];
    let outcome = finish(train(&cluster, &cache, &args)).ok();
    for part in ["4 of 9 sent as job", "1 of 9 sent as job"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    assert_eq!(outcome.rows()[0]["train_loss"].as_array().expect("losses").len(), 9);
    let arrays = cluster.ask("squeue --noheader --array --states=all --format=%F | sort | uniq -c | awk '{print $1}'");
    assert_eq!(arrays.split_whitespace().collect::<Vec<_>>(), ["4", "4", "1"]);
}

#[test]
fn a_transfer_through_slurm_gives_the_local_table() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let transfer = |cache: &str, more: &[&str]| {
        let mut command = cluster.with(stage("transfer"));
        command.args(["--config", "data/profiles/tiny.toml", "--tasks", "bfs", "--program", "data/processors/mpnn.py"]);
        command.args(["--device", "cpu", "--set", "engine.poll_s=0.5 transfer.seeds=[1, 2]"]).args(more);
        command.args(["-o", "-", "--cache"]).arg(folder.path().join(cache));
        let outcome = finish(command).ok();
        let steady = |mut row: Value| {
            row.as_object_mut().expect("a row").remove("train_seconds");
            row
        };
        (outcome.rows().into_iter().map(steady).collect::<Vec<_>>(), outcome.stderr)
    };
    let (local, _) = transfer("local", &[]);
    assert!(local.len() >= 2 && local.iter().all(|row| row["status"] == "scored"), "{local:?}");
    let (remote, said) = transfer("remote", &["--engine", "slurm", "--slurm=--mem=900"]);
    assert_eq!(remote, local);
    // Trainings, and then their evaluations.
    assert_eq!(said.matches(" sent as job ").count(), 2, "{said}");
}

/// A queue of shell scripts: jobs are processes of their own, and their ids pids.
fn stand_in(words: &str) -> String {
    let submit = "setsid {script} > {log} 2>&1 < /dev/null & echo $!";
    let status =
        "for id in {ids}; do if grep -q '^State:.[^ZX]' /proc/$id/status 2>/dev/null; then echo $id R here; fi; done";
    format!(
        "train.engine=command engine.poll_s=0.5 engine.command={{ submit = \"{submit}\", status = \"{status}\", \
         cancel = \"kill {{ids}}\" }} {words}"
    )
}

#[test]
fn a_search_through_any_other_queue_gives_the_local_archive_to_the_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut make = make_search(folder.path(), 0);
    make.arg(format!("SET={}", stand_in("")));
    let search = finish(make).ok();
    assert!(search.stderr.contains(" sent"), "{}", search.stderr);
    assert!(archive(folder.path()) == local_archive(), "another archive");
}

/// `train` with one program through the stand-in.
fn through(cache: &Path, words: &str) -> Command {
    let mut command = stage("train");
    command.args(["--config", "data/profiles/tiny.toml", "--cache"]).arg(cache);
    command.args(["--set", &stand_in(words), "data/processors/mpnn.py"]);
    command
}

/// The pids of the jobs that run with this cache.
fn jobs(cache: &Path) -> Vec<u32> {
    let line = format!("pgrep -f -- '--cache {} --one' || true", cache.display());
    let pids = shell(&line).ok().stdout;
    let own = |pid: &&str| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next().is_some_and(|program| program.ends_with(b"/train"))
    };
    pids.lines().filter(own).filter_map(|pid| pid.parse().ok()).collect()
}

/// The CPU time of a process's children, as far as whole ones of its ticks go.
fn seconds_of_children(parent: u32) -> f64 {
    let ticks = |pid: u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = line.rsplit_once(") ").map_or("", |(_, fields)| fields).to_owned();
        fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>()
    };
    // Linux counts a hundred ticks a second for whoever reads them here.
    children(parent).into_iter().map(ticks).sum::<f64>() / 100.0
}

fn started(cache: &Path, words: &str) -> Child {
    let mut command = through(cache, words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    wait_until("a job runs", || !jobs(cache).is_empty());
    child
}

fn ended(child: Child) -> (Vec<Value>, String) {
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let rows =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (rows, stderr)
}

#[test]
fn a_job_that_is_asked_to_end_leaves_a_checkpoint_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = fs::canonicalize(folder.path()).expect("a path").join("cache");
    let words = "train.steps=1500 train.val_every=750 train.checkpoint_s=1000 train.seeds=[5] train.time_limit_s=3000";
    let child = started(&cache, words);
    // What was not yet begun has nothing to go on from.
    wait_until("the training is under way", || jobs(&cache).first().is_some_and(|job| seconds_of_children(*job) > 1.5));
    let first = jobs(&cache);
    first.iter().for_each(|job| signal(*job, Signal::TERM));
    let found = || shell(&format!("find {} -name checkpoint.safetensors", cache.display())).stdout;
    wait_until("the checkpoint", || !found().is_empty());
    wait_until("another job", || jobs(&cache).iter().any(|job| !first.contains(job)));
    let (rows, stderr) = ended(child);
    assert!(stderr.contains("unfinished"), "{stderr}");
    assert_eq!(rows[0]["status"], "trained");
    // The curve is that of an undisturbed training.
    let plain = folder.path().join("plain");
    let mut local = stage("train");
    local.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--set", words, "--cache"]).arg(&plain);
    let expected = finish({
        local.arg("data/processors/mpnn.py");
        local
    });
    let expected = expected.ok().rows().remove(0);
    assert_eq!((&rows[0]["train_loss"], &rows[0]["val_acc"]), (&expected["train_loss"], &expected["val_acc"]));
}

#[test]
fn a_job_that_is_lost_again_and_again_is_a_crash_and_one_that_dies_is_repeated_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = fs::canonicalize(folder.path()).expect("a path").join("cache");
    let words = "train.steps=100000 train.checkpoint_s=0 train.seeds=[6] engine.losses=2";
    let child = started(&cache, words);
    let mut killed = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(240);
    while killed.len() < 2 {
        assert!(Instant::now() < deadline, "only {killed:?} were seen");
        for job in jobs(&cache) {
            if !killed.contains(&job) {
                signal(job, Signal::KILL);
                killed.push(job);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (rows, stderr) = ended(child);
    assert_eq!(rows[0]["status"], "crashed", "{stderr}");
    assert!(rows[0]["reason"].as_str().is_some_and(|reason| reason.starts_with("lost 2 times: ")), "{}", rows[0]);
    // It is known now, and tried again when that is asked for.
    let (again, _) =
        ended(through(&cache, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
    assert_eq!(again, rows);

    // The training's own process is killed, twice: that is the training's failure.
    let words = "train.steps=100000 train.checkpoint_s=0 train.seeds=[7]";
    let child = started(&cache, words);
    let mut killed = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(240);
    let is_there = |pid: &u32| Path::new("/proc").join(pid.to_string()).exists();
    // Rust takes a first signal of this kind for a stack that overflowed, sees that none did, and goes on.
    while killed.len() < 2 || killed.iter().any(is_there) {
        assert!(Instant::now() < deadline, "only {killed:?} were seen");
        killed.iter().for_each(|pid| signal(*pid, Signal::SEGV));
        // Only what is under way is the training's own process.
        for job in jobs(&cache).into_iter().filter(|job| seconds_of_children(*job) > 0.5) {
            killed.extend(children(job).into_iter().filter(|pid| !killed.contains(pid)).collect::<Vec<_>>());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (rows, stderr) = ended(child);
    assert_eq!(rows[0]["status"], "crashed", "{stderr}");
    assert_eq!(rows[0]["reason"], "killed by signal 11 (2 times)", "{stderr}");
}

#[test]
fn a_node_that_was_thought_dead_comes_back_and_the_first_result_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = fs::canonicalize(folder.path()).expect("a path");
    let (cache, lost) = (folder.join("cache"), folder.join("lost"));
    // For as long as there is this file, the queue knows nothing of its jobs.
    let sets = stand_in("train.steps=4000 train.val_every=2000 train.seeds=[8] train.time_limit_s=3000");
    let sets = sets.replace("for id in {ids}", &format!("test -e {} || for id in {{ids}}", lost.display()));
    let mut command = stage("train");
    command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--set", &sets, "--cache"]).arg(&cache);
    command.arg("data/processors/mpnn.py").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    wait_until("a job runs", || !jobs(&cache).is_empty());
    fs::write(&lost, "").expect("written");
    // The second begins while the first still goes on.
    wait_until("two jobs run", || jobs(&cache).len() == 2);
    fs::remove_file(&lost).expect("removed");
    let (rows, stderr) = ended(child);
    assert_eq!(rows[0]["status"], "trained", "{stderr}");
    assert_eq!(stderr.matches("it is sent again").count(), 1, "{stderr}");
    wait_until("both end", || jobs(&cache).is_empty());
    let left =
        format!("cd {} && find . -name result.json | wc -l; find . -name '*.tmp' -o -name '*.part'", cache.display());
    assert_eq!(shell(&left).ok().stdout.trim(), "1");
}

#[test]
fn a_job_made_by_other_code_or_by_nobody_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let one = |program: &str, key: &str| {
        let mut command = stage(program);
        command.args(["--one", key, "--cache"]).arg(&cache);
        finish(command)
    };
    for (program, kinds) in [("train", &["train"] as &[&str]), ("score", &["score"]), ("transfer", &["train", "score"])]
    {
        one(program, "0123abcd").refused(1, &["0123abcd.job.json", "there is no such job"]);
        one(program, "../x").refused(2, &["this is not the key of a job"]);
        for kind in kinds {
            let work = cache.join(kind).join("work");
            fs::create_dir_all(&work).expect("a folder");
            let ticket = r#"{"version":"0.1.0","code":"0","label":"","limits":{},"options":"","job":{}}"#;
            fs::write(work.join("0123abcd.job.json"), ticket).expect("written");
            one(program, "0123abcd").refused(1, &["another version of this program", &format!("{kind}/work")]);
            fs::remove_dir_all(&work).expect("removed");
        }
    }
}

#[test]
fn a_transfer_does_single_jobs_of_both_kinds() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = fs::canonicalize(folder.path()).expect("a path").join("cache");
    // A queue that runs `transfer --one` in place of `train --one` and `score --one`: they are the same jobs.
    let script = r#"sed -i "s:/\(train\|score\)' :/transfer' :" {script} && {script} > {log} 2>&1; echo 1"#;
    let submit = serde_json::json!(script);
    let sets = format!(
        "train.engine=command engine.poll_s=0.5 engine.command={{ submit = {submit}, status = 'true' }} transfer.seeds=[3]"
    );
    let mut command = stage("transfer");
    command.args(["--config", "data/profiles/tiny.toml", "--tasks", "bfs", "--program", "data/processors/mpnn.py"]);
    command.args(["--device", "cpu", "--set", &sets, "-o", "-", "--cache"]).arg(&cache);
    let outcome = finish(command).ok();
    assert!(outcome.rows().iter().all(|row| row["status"] == "scored"), "{}", outcome.stdout);
    assert!(!outcome.stderr.contains("lost"), "{}", outcome.stderr);
}

#[test]
fn a_machine_of_another_model_takes_no_jobs() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let train = |model: &str, more: &[&str]| {
        let mut command = stage("train");
        command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache"]).arg(&cache).args(more);
        command.args(["--set", &format!("train.device_model='{model}'"), "data/processors/mpnn.py"]);
        finish(command)
    };
    train("no such CPU", &[]).refused(1, &["train.device_model is \"no such CPU\", and this machine has "]);
    // A node of another model says so, and the row tells.
    let mut command = through(&cache, "train.device_model='no such CPU' engine.losses=1");
    command.args(["--device", "cpu"]);
    let row = finish(command).ok().rows().remove(0);
    assert_eq!(row["status"], "crashed", "{row}");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("train.device_model is")), "{row}");

    let name = shell("sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1").stdout.trim().to_owned();
    if name.is_empty() || name.contains('\'') {
        return skip("this machine's CPU has no name");
    }
    let any = train("", &[]).ok().rows().remove(0);
    // Kept apart from what was computed on any, in whatever letters it is written.
    train(&name, &["--collect"]).refused(3, &["1 of 1"]);
    let own = train(&name, &[]).ok().rows().remove(0);
    assert_eq!(train(&name.to_lowercase(), &["--collect"]).ok().rows()[0]["train_key"], own["train_key"]);
    assert_ne!(any["train_key"], own["train_key"]);
    assert_eq!(any["train_loss"], own["train_loss"]);
}

#[test]
fn keys_do_not_depend_on_the_machine_that_collects() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let train = |more: &[&str]| {
        let mut command = stage("train");
        command.args(["--config", "data/profiles/tiny.toml", "--cache"]).arg(&cache).args(more);
        command.arg("data/processors/mpnn.py");
        finish(command)
    };
    train(&["--collect"]).refused(3, &["1 of 1 have no result in the cache yet; nothing was written"]);
    let made = train(&["--device", "cpu"]).ok();
    assert_eq!(train(&["--collect"]).ok().rows(), made.rows());
    // There is no GPU here, and none is looked for.
    train(&["--collect", "--device", "cuda"]).refused(3, &["1 of 1 have no result"]);
    let entries = || shell(&format!("find {} | sort", cache.display())).stdout;
    let before = entries();
    train(&["--collect", "--set", "train.steps=5"]).refused(3, &["1 of 1"]);
    assert_eq!(entries(), before, "collecting writes nothing");
}

#[test]
fn what_is_on_its_way_is_told_and_nodes_are_asked() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let status = || {
        let mut command = cluster.with(stage("run"));
        command.arg("status").arg(folder.path()).arg("--cache").arg(&cache);
        finish(command).ok().stdout
    };
    assert!(status().contains("nothing is on its way"), "{}", status());
    let sets = "train.steps=100000 train.val_every=50000 train.seeds=[1, 2, 3, 4, 5, 6, 7] engine.running=cancel";
    let mut command = train(&cluster, &cache, &["--slurm=--mem=900", "--set", sets, "data/processors/mpnn.py"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_until("seven jobs are seen", || status().contains("1 queued, 6 running"));
    let text = status();
    assert!(text.lines().any(|line| line.trim_start().starts_with("running") && line.contains("n2 for 0:")), "{text}");
    assert!(text.starts_with("train: slurm ") && text.contains("  PENDING"), "{text}");
    tests::signal(child.id(), tests::Signal::TERM);
    let output = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("1 waiting jobs cancelled, 6 running ones ended"), "{words}");
    wait_until("all jobs end", || cluster.ask("squeue --noheader").is_empty());

    let mut doctor = cluster.with(stage("probe"));
    doctor.args(["doctor", "--engine", "slurm", "--slurm=--mem=900", "--cache"]).arg(&cache);
    let found = finish(doctor).ok().stdout;
    for line in [
        "node           n",
        "cache          ok",
        "code           ok",
        "rename         ok",
        "clock          ok",
        "locks          ok",
    ] {
        assert!(found.contains(line), "{line} in\n{found}");
    }
    let mut doctor = cluster.with(stage("probe"));
    doctor.args(["doctor", "--engine", "slurm", "--device", "cuda", "--slurm=--mem=900", "--cache"]).arg(&cache);
    let none = finish(doctor);
    assert!(none.code == Some(1) && none.stdout.contains("CUDA           WRONG: none"), "{none:?}");
}

/// The keys of all results of a cache, with the number of trainings that were begun for each: every one writes a scratch
/// folder of its own, so starts are counted by what the programs say.
fn trained(outcomes: &[Outcome]) -> usize {
    let done = |outcome: &Outcome| {
        outcome.stderr.lines().filter(|line| line.contains(": loss ") && !line.contains("(from the cache)")).count()
    };
    outcomes.iter().map(done).sum()
}

/// Eight processes with one table and one cache, all at once.
fn eight(wrap: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, table) = (folder.path().join("cache"), folder.path().join("checked.jsonl"));
    let made = shell(&format!("propose --n 6 --seed 3 | check - > {}", table.display()));
    made.ok();
    let children: Vec<Child> = (0..8)
        .map(|_| {
            let words: Vec<&str> = wrap.to_vec();
            let program = tests::bin().join("train");
            let mut command = match words.split_first() {
                Some((first, rest)) => {
                    let mut command = Command::new(first);
                    command.args(rest).arg(program);
                    command
                }
                None => Command::new(program),
            };
            command.current_dir(root()).args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--jobs", "2"]);
            command.args(["--set", "train.seeds=1", "--cache"]).arg(&cache).arg(&table);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    let outcomes: Vec<Outcome> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            Outcome {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
            .ok()
        })
        .collect();
    let results = shell(&format!("find {} -name result.json | wc -l", cache.display())).ok().stdout;
    let results: usize = results.trim().parse().expect("a number");
    assert!(results >= 4, "only {results} trainings");
    assert_eq!(trained(&outcomes), results, "each was trained once");
    for outcome in &outcomes {
        assert!(outcome.stdout == outcomes[0].stdout, "tables differ");
    }
    let left = shell(&format!("find {} -name '*.tmp' -o -name '*.part'", cache.display())).ok().stdout;
    assert_eq!(left, "");
}

#[test]
fn eight_processes_with_one_table_share_the_work() {
    eight(&[]);
}

#[test]
#[ignore = "minutes: twenty times over"]
fn eight_processes_with_one_table_share_the_work_twenty_times_over() {
    for _ in 0..20 {
        eight(&[]);
    }
}

#[test]
fn two_namespaces_of_pids_on_one_cache_leave_each_other_alone() {
    let wrap = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let able = Command::new(wrap[0]).args(&wrap[1..]).arg("true").stderr(Stdio::null()).status();
    if !able.is_ok_and(|status| status.success()) {
        return skip("namespaces cannot be made here (unshare --user --pid)");
    }
    // Each in one of its own: the pids of all are the same few.
    eight(&wrap);
}

/// The lines of the page about machines for a queue, as settings.
fn of_the_readme(queue: &str) -> String {
    let readme = fs::read_to_string(root().join("stages/machines.md")).expect("the README");
    let head = format!("    # {queue}");
    let lines = readme.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
    let lines: Vec<&str> = lines.take(3).map(str::trim).collect();
    let starts = |at: usize, word: &str| lines.get(at).is_some_and(|line| line.starts_with(word));
    assert!(starts(0, "submit = ") && starts(1, "status = ") && starts(2, "cancel = "), "{queue}: {lines:?}");
    format!("[engine.command]\n{}\n", lines.join("\n"))
}

#[test]
fn the_examples_for_other_queues_work_with_stand_ins() {
    let queues = root().join("tests/fixtures/queues");
    let path = format!("{}:{}", queues.display(), std::env::var("PATH").unwrap_or_default());
    let tiny = fs::read_to_string(root().join("data/profiles/tiny.toml")).expect("the profile");
    for queue in ["PBS", "HTCondor", "Kubernetes"] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.toml");
        fs::write(&config, format!("{tiny}\n[engine]\npoll_s = 0.5\n{}", of_the_readme(queue))).expect("written");
        let train = |sets: &str| {
            let mut command = stage("train");
            command.env("PATH", &path).env("QUEUE", folder.path().join("queue")).arg("--config").arg(&config);
            command.args(["--engine", "command", "--set", sets, "--cache"]).arg(folder.path().join("cache"));
            command.arg("data/processors/mpnn.py").stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let outcome = finish(train("train.seeds=[1, 2]")).ok();
        assert_eq!(outcome.rows()[0]["status"], "trained", "{queue}");
        assert!(outcome.stderr.contains("2 of 2 sent"), "{queue}: {}", outcome.stderr);
        // A job that is gone is noticed, and sent again.
        let child = train("train.seeds=[3] train.steps=300 train.val_every=150").spawn().expect("it starts");
        let cache = fs::canonicalize(folder.path()).expect("a path").join("cache");
        wait_until("a job runs", || !jobs(&cache).is_empty());
        jobs(&cache).into_iter().for_each(|job| signal(job, Signal::KILL));
        let (rows, stderr) = ended(child);
        assert!(rows[0]["status"] == "trained" && stderr.contains("it is sent again"), "{queue}: {stderr}");
        // An interruption ends what runs, where that is asked for.
        let child = train("train.seeds=[4] train.steps=100000 engine.running=cancel").spawn().expect("it starts");
        wait_until("a job runs", || !jobs(&cache).is_empty());
        tests::signal(child.id(), tests::Signal::INT);
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));
        wait_until("the job is gone", || jobs(&cache).is_empty());
    }
}
