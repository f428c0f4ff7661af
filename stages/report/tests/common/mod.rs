//! Made-up archives: a search whose numbers follow from its seed alone.

#![allow(dead_code)]

pub mod browser;

use std::path::Path;

use schemas::{
    Candidate, CurvePoint, DiagnosisRow, Diagnostic, Factor, Feedback, Lesioned, Locality, Measure, Severity, Status,
    TransferRow, TransferSummary, Verdict,
};
use stage::Row;
use stage::table::{Extra, Table, write, write_records};

pub const SEED_PROGRAM: &str = include_str!("../../../../data/seed_pgn.py");

/// SplitMix64: enough for made-up data.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.next() * n as f64) as usize).min(n - 1)
    }
}

const EDITS: &[&str] = &[
    "two heads with an output gate",
    "mask triplets by adjacency",
    "low-rank edge projection",
    "max over k, mean over i",
    "sigmoid gate on the receiver",
    "residual refinement of messages",
    "layer norm after the triplet sum",
    "separate weights per direction",
    "softmax reduction",
    "width 16",
];

/// The rows of a search with this many attempts.
pub fn rows(run: &str, method: &str, seed: u64, attempts: usize) -> Vec<Candidate> {
    let mut noise = Noise(seed.wrapping_mul(77) + method.len() as u64);
    let mut rows = vec![scored(&mut noise, base(run, method, 0), 0.31)];
    rows[0].source = SEED_PROGRAM.into();
    let talent = 0.05 + 0.01 * method.len() as f64;
    for attempt in 1..=attempts {
        let mut row = base(run, method, attempt);
        let parents: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].ood_acc.is_some()).collect();
        let (a, b) = (parents[noise.below(parents.len())], parents[noise.below(parents.len())]);
        let parent = if rows[a].ood_acc > rows[b].ood_acc { a } else { b };
        row.parent_id = Some(rows[parent].candidate_id.clone());
        row.parent_source = Some(rows[parent].source.clone());
        row.factor =
            (method != "free-form").then(|| if noise.next() < 0.5 { Factor::OPERATOR } else { Factor::ACTION });
        row.edit = Some(EDITS[noise.below(EDITS.len())].into());
        row.source = edited(&rows[parent].source, row.factor, attempt);
        row.verdict = Some(Verdict::Accept);
        row.locality = Some(Locality::Local);
        let reach = |noise: &mut Noise, most: f64| Some((noise.next() * most) as i64);
        row.edit_distance_operator = reach(&mut noise, if row.factor == Some(Factor::ACTION) { 1.0 } else { 60.0 });
        row.edit_distance_action = reach(&mut noise, if row.factor == Some(Factor::OPERATOR) { 1.0 } else { 90.0 });
        row.edit_distance_frozen = reach(&mut noise, if row.factor.is_none() { 20.0 } else { 1.0 });
        row.graph_edit_distance = reach(&mut noise, 40.0);
        row.frozen_outputs_changed = Some(0);
        row.changed_frozen_outputs = Some(Vec::new());
        let before = rows[parent].ood_acc.unwrap_or(0.3);
        row = match noise.next() {
            x if x < 0.12 => rejected(row, noise.below(4)),
            x if x < 0.18 => Candidate {
                status: Status::Rejected,
                verdict: Some(Verdict::Reject),
                locality: Some(Locality::Entangled),
                entanglement: Some(vec!["frozen-code".into(), "other-region".into()]),
                reason: Some("the edit changes code outside its factor".into()),
                edit_distance_frozen: Some(14),
                frozen_outputs_changed: Some(1),
                changed_frozen_outputs: Some(vec!["ret".into()]),
                ..row
            },
            x if x < 0.22 => {
                Candidate { status: Status::Duplicate, duplicate_of: Some(rows[parent].candidate_id.clone()), ..row }
            }
            x if x < 0.25 => Candidate { status: Status::Timeout, reason: Some("killed after 600 s".into()), ..row },
            x if x < 0.27 => Candidate { status: Status::Diverged, reason: Some("loss NaN at step 80".into()), ..row },
            _ => {
                let step = (noise.next() - 0.55) * talent * 2.5;
                scored(&mut noise, row, (before + step).clamp(0.08, 0.97))
            }
        };
        rows.push(row);
    }
    let mut best = f64::NEG_INFINITY;
    for row in &mut rows {
        best = best.max(row.fitness.unwrap_or(f64::NEG_INFINITY));
        row.best_so_far = Some(best);
        row.archived = Some(row.fitness.is_some());
        row.elite = Some(row.fitness.is_some_and(|f| f > 0.9 * best));
    }
    rows
}

fn base(run: &str, method: &str, attempt: usize) -> Candidate {
    Candidate {
        run: run.into(),
        method: method.into(),
        proposer: if attempt == 0 { "file" } else { "builtin" }.into(),
        generation: attempt.div_ceil(8) as i64,
        slot: (attempt.max(1) - 1) as i64 % 8,
        attempt: attempt as i64,
        island: attempt as i64 % 3,
        candidate_id: format!(
            "{:016x}",
            (attempt as u64 + 1).wrapping_mul(0x9E37_79B9_97F4_A7C1) ^ method.len() as u64
        ),
        ..Candidate::default()
    }
}

fn scored(noise: &mut Noise, row: Candidate, ood: f64) -> Candidate {
    let seeds: Vec<f64> = (0..3).map(|_| (ood + (noise.next() - 0.5) * 0.06).clamp(0.0, 1.0)).collect();
    let mean = seeds.iter().sum::<f64>() / 3.0;
    let std = (seeds.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let params = (9_000.0 * (0.7 + noise.next()) * (0.5 + ood)) as i64;
    let macs = (420_000.0 * (0.6 + noise.next()) * (0.6 + ood)) as i64;
    Candidate {
        status: Status::Scored,
        verdict: Some(Verdict::Accept),
        task: Some("dfs".into()),
        train_seeds: Some(vec![0, 1, 2]),
        train_steps: Some(120),
        val_acc: Some(seeds.iter().map(|v| (v + 0.25).min(0.99)).collect()),
        device: Some("cpu".into()),
        params: Some(params),
        macs: Some(macs),
        cell: Some(format!("params={},distance={}", (params as f64).log2() as i64 * 2, (ood * 6.0) as i64)),
        ood_acc: Some(mean),
        ood_acc_std: Some(std),
        ood_acc_seeds: Some(seeds.clone()),
        test_acc: Some(mean - 0.03),
        test_acc_std: Some(std * 1.2),
        test_acc_seeds: Some(seeds.iter().map(|v| v - 0.03).collect()),
        fitness: Some(mean),
        ..row
    }
}

fn rejected(row: Candidate, kind: usize) -> Candidate {
    let (category, code, message) = [
        (
            "shape",
            "E-SHAPE-BROADCAST",
            "[B, N, 8] and [B, N] cannot be broadcast: axis 2 is 8 on one side and N on the other",
        ),
        ("syntax", "E-SYNTAX", "expected an indented block after `if`"),
        ("unsupported", "E-UNSUPPORTED-OP", "`torch.load` is not available to programs"),
        ("contract", "E-INTERFACE-RETURN", "forward must return (ret, tri_msgs), but <b>returns</b> a tensor"),
    ][kind];
    Candidate {
        status: Status::Rejected,
        verdict: Some(Verdict::Reject),
        locality: None,
        diagnostics: Some(vec![Diagnostic {
            severity: Severity::Error,
            category: category.into(),
            code: code.into(),
            line: 40 + kind as i64,
            column: 9,
            message: message.into(),
            help: Some("add unsqueeze(-1)".into()).filter(|_| kind == 0),
        }]),
        ..row
    }
}

/// A program like its parent, with a line more in the region of its factor.
fn edited(source: &str, factor: Option<Factor>, attempt: usize) -> String {
    let (marker, line) = match factor {
        Some(Factor::ACTION) => {
            ("# ===== END ACTION REGION =====", format!("messages = messages + 0.{attempt} * torch.tanh(messages)"))
        }
        _ => (
            "# ===== END OPERATOR REGION =====",
            format!("self.extra_{attempt} = nn.Linear(z_size, {})", 4 + attempt % 12),
        ),
    };
    let indent = source.lines().find(|l| l.trim() == marker).map_or("", |l| &l[..l.len() - l.trim_start().len()]);
    source.replacen(&format!("{indent}{marker}"), &format!("{indent}{line}\n{indent}{marker}"), 1).replacen(
        "width = self.nb_triplet_fts",
        "width = 2 * self.nb_triplet_fts",
        1,
    )
}

/// Curves of the scored rows.
pub fn curves(rows: &[Candidate]) -> Vec<CurvePoint> {
    let mut noise = Noise(5);
    let mut points = Vec::new();
    for row in rows {
        let Some(seeds) = &row.ood_acc_seeds else { continue };
        for (seed, score) in (0i64..).zip(seeds) {
            for step in (10..=120).step_by(10) {
                let t = step as f64 / 120.0;
                points.push(CurvePoint {
                    run: None,
                    settings_digest: None,
                    candidate_id: row.candidate_id.clone(),
                    task: "dfs".into(),
                    train_seed: seed,
                    step,
                    loss: 3.2 * (-2.2 * t * (0.6 + score)).exp() + 0.15 * noise.next(),
                    val_acc: (step % 40 == 0).then(|| (score + 0.25).min(0.99) * t.powf(0.45)),
                });
            }
        }
    }
    points
}

/// The nine tasks, and what is published for the reference architecture, in per cent.
const NINE: [(&str, f64); 9] = [
    ("bellman_ford", 97.39),
    ("mst_prim", 86.39),
    ("strongly_connected_components", 43.43),
    ("binary_search", 77.58),
    ("jarvis_march", 91.01),
    ("kmp_matcher", 19.51),
    ("optimal_bst", 73.77),
    ("quicksort", 64.64),
    ("task_scheduling", 87.25),
];

/// The summary that belongs to [`transfer`], as far as the report reads it.
pub fn transfer_summary(rows: &[TransferRow]) -> Vec<TransferSummary> {
    let mean = |program: &str, task: Option<&str>| {
        let of = |row: &&TransferRow| row.program == program && task.is_none_or(|task| row.task == task);
        let scores: Vec<f64> = rows.iter().filter(of).filter_map(|row| row.test_acc).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let mut lines = Vec::new();
    for program in ["data/seed_pgn.py", "best.py"] {
        for (task, published) in NINE.into_iter().chain([("average", 71.22)]) {
            let of = Some(task).filter(|task| *task != "average");
            let difference = mean(program, of) - mean("data/seed_pgn.py", of);
            lines.push(TransferSummary {
                settings_digest: None,
                program: program.into(),
                candidate_id: program.into(),
                task: task.into(),
                seeds: 3,
                failed: 0,
                test_acc: Some(mean(program, of)),
                test_acc_std: Some(0.01),
                difference: (program == "best.py").then_some(difference),
                published: Some(published / 100.0),
                published_reimplemented: None,
                published_best: None,
                reads_triplets: of.map(|task| !["binary_search", "jarvis_march", "task_scheduling"].contains(&task)),
                params: Some(9000),
                macs: Some(450_000),
            });
        }
    }
    lines
}

/// Two programs on nine tasks.
pub fn transfer(seed: &Candidate) -> Vec<TransferRow> {
    let mut noise = Noise(9);
    let mut rows = Vec::new();
    for (task, _) in NINE {
        let level = 0.4 + 0.5 * noise.next();
        for (program, bonus) in [("data/seed_pgn.py", 0.0), ("best.py", 0.08)] {
            for train_seed in 0..3 {
                rows.push(TransferRow {
                    settings_digest: None,
                    program: program.into(),
                    candidate_id: if bonus == 0.0 { seed.candidate_id.clone() } else { program.into() },
                    task: task.into(),
                    train_seed,
                    status: Status::Scored,
                    reason: None,
                    test_length: 16,
                    test_acc: Some((level + bonus * noise.next() + 0.05 * noise.next()).min(1.0)),
                    val_acc: None,
                    train_loss: None,
                    train_steps: Some(120),
                    params: Some(9000),
                    macs: Some(450_000),
                    weights: None,
                    train_seconds: None,
                });
            }
        }
    }
    rows
}

/// Diagnoses of the seed program and of the best.
pub fn diagnoses(rows: &[Candidate]) -> Vec<DiagnosisRow> {
    let mut best: Vec<&Candidate> = rows.iter().filter(|row| row.ood_acc.is_some()).collect();
    best.sort_by(|a, b| b.ood_acc.partial_cmp(&a.ood_acc).expect("numbers"));
    let mut found = Vec::new();
    for candidate in rows.first().into_iter().chain(best.into_iter().take(8)) {
        let score = candidate.ood_acc.unwrap_or(0.5);
        let row = |kind: Measure, mode: Feedback, probe: Option<(&str, &str)>, value: f64| DiagnosisRow {
            run: candidate.run.clone(),
            settings_digest: None,
            candidate_id: candidate.candidate_id.clone(),
            task: "dfs".into(),
            seed_index: 0,
            train_seed: 0,
            kind,
            mode,
            split: "ood".into(),
            nodes: 12,
            n: 32,
            subject_kind: None,
            subject: None,
            replaced_by: None,
            probe: probe.map(|(name, _)| name.into()),
            probe_type: probe.map(|(_, ty)| ty.into()),
            step_tenth: None,
            class_true: None,
            class_predicted: None,
            correct: value * 100.0,
            total: 100.0,
            value,
            loss: None,
        };
        found.push(row(Measure::Score, Feedback::Free, None, score));
        for (at, name, ty) in
            [(0, "pi_h", "pointer"), (1, "color", "categorical"), (2, "s_last", "mask_one"), (3, "time", "scalar")]
        {
            let value = (score + 0.05 * f64::from(at)).min(1.0);
            found.push(row(Measure::Hint, Feedback::Free, Some((name, ty)), value));
            found.push(row(Measure::Hint, Feedback::Forced, Some((name, ty)), (value + 0.1).min(1.0)));
            for tenth in 0..10 {
                let value = (value - 0.06 * tenth as f64).max(0.0);
                found.push(DiagnosisRow {
                    step_tenth: Some(tenth),
                    ..row(Measure::Step, Feedback::Free, Some((name, ty)), value)
                });
            }
        }
        for (kind, name, loss) in [
            (Lesioned::Operator, "t_1", 0.2),
            (Lesioned::Operator, "m_g", 0.0),
            (Lesioned::Operator, "gate2", -0.02),
            (Lesioned::Channel, "tri_msgs", 0.4),
        ] {
            let probes = [None, Some(("pi", "pointer"))];
            found.extend(probes.into_iter().map(|probe| DiagnosisRow {
                split: "validation".into(),
                subject_kind: Some(kind),
                subject: Some(name.into()),
                replaced_by: Some("mean".into()),
                loss: Some(loss),
                ..row(Measure::Lesion, Feedback::Free, probe, score - loss)
            }));
        }
    }
    found
}

pub fn write_rows(path: &Path, rows: Vec<Candidate>) {
    write(&rows.into_iter().map(Row::from).collect::<Table>(), path).expect("the archive can be written");
}

/// A run's folder with archive, settings, curves and transfer results.
pub fn write_run(folder: &Path, run: &str, method: &str, seed: u64, attempts: usize) {
    std::fs::create_dir_all(folder.join("gen001")).expect("a writable folder");
    let rows = rows(run, method, seed, attempts);
    let none = Extra::default();
    write_records(curves(&rows).iter().map(|p| (p, &none)), &folder.join("gen001/curves.parquet"), true)
        .expect("curves");
    write_records(diagnoses(&rows).iter().map(|r| (r, &none)), &folder.join("gen001/diagnosis.parquet"), true)
        .expect("diagnoses");
    let transferred = transfer(&rows[0]);
    write_records(transferred.iter().map(|r| (r, &none)), &folder.join("transfer.parquet"), true).expect("transfer");
    let summary = transfer_summary(&transferred);
    write_records(summary.iter().map(|r| (r, &none)), &folder.join("transfer_summary.parquet"), true).expect("summary");
    let config = format!(
        "[task]\nalgorithm = \"dfs\"  # default\n\n[network]\nhidden = 32\n\n[train]\nlengths = [4, 5, 6, 8]\nsteps = 120\nseeds = [0, 1, 2]\n\n\
         [score]\nood_length = 12\nood_samples = 32\ntest_length = 16\nfitness = \"ood\"\n\n[search]\nmethod = \"{method}\"\nseed = {seed}\n"
    );
    std::fs::write(folder.join("config.toml"), config).expect("settings");
    write_rows(&folder.join("archive.parquet"), rows);
}

/// Exchanges of every attempt beside an archive: a router's and a writer's, with these texts.
pub fn write_transcripts(folder: &Path, rows: &[Candidate], said: &str, length: usize) {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.parent_id.is_some()) {
        for (call, agent) in ["router", "writer"].iter().enumerate() {
            let prompt = format!("{said} {agent} {} {}", row.attempt, "p".repeat(length));
            let line = serde_json::json!({
                "key": "k", "generation": 0, "slot": 0, "attempt": row.attempt, "call": call, "agent": agent,
                "model": said, "params": {},
                "messages": [{"role": "system", "content": format!("{said} system {agent}")}, {"role": "user", "content": prompt}],
                "reply": {"text": format!("{said} reply {}", "r".repeat(length)), "reasoning": said, "finish": "stop"},
                "error": null,
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 60, "estimated": call == 1},
                "cost": 0.25, "tries": [{"kind": "status", "message": said, "waited_ms": 5}],
                "latency_ms": 1500, "time": "2026-03-01T12:00:00Z",
            });
            text += &format!("{line}\n");
        }
    }
    std::fs::write(folder.join("transcripts.jsonl"), text).expect("transcripts");
}

/// A run in which every text of the archive and of what lies beside it is this one.
pub fn write_hostile_run(folder: &Path, attack: &str) {
    let mut rows = rows(attack, "spark", 4, 40);
    let mut points = curves(&rows);
    let mut transfer = transfer(&rows[0]);
    let mut summary = transfer_summary(&transfer);
    let id = |id: &str| format!("{attack}{id}");
    for row in &mut rows {
        row.candidate_id = id(&row.candidate_id);
        row.parent_id = row.parent_id.as_deref().map(id);
        for field in [&mut row.edit, &mut row.directive, &mut row.reason, &mut row.cell, &mut row.task, &mut row.device]
        {
            *field = field.as_ref().map(|_| attack.into());
        }
        row.method = attack.into();
        row.proposer = attack.into();
        row.source = format!("{}\n# {attack}\nx = '{attack}'\n{attack}", row.source);
        row.entanglement = row.entanglement.as_ref().map(|kinds| kinds.iter().map(|_| attack.into()).collect());
        for d in row.diagnostics.iter_mut().flatten() {
            (d.message, d.category, d.code) = (attack.into(), attack.into(), attack.into());
            d.help = Some(attack.into());
        }
    }
    points.iter_mut().for_each(|point| (point.candidate_id, point.task) = (id(&point.candidate_id), attack.into()));
    let best = |program: &str| if program == "best.py" { program.to_owned() } else { attack.to_owned() };
    transfer.iter_mut().for_each(|row| (row.program, row.task) = (best(&row.program), format!("{attack}{}", row.task)));
    summary.iter_mut().for_each(|row| (row.program, row.task) = (best(&row.program), format!("{attack}{}", row.task)));
    std::fs::create_dir_all(folder.join("gen001")).expect("a folder");
    let none = Extra::default();
    let write = |done: anyhow::Result<()>| done.expect("written");
    write(write_records(points.iter().map(|p| (p, &none)), &folder.join("gen001/curves.parquet"), true));
    write(write_records(transfer.iter().map(|r| (r, &none)), &folder.join("transfer.parquet"), true));
    write(write_records(summary.iter().map(|r| (r, &none)), &folder.join("transfer_summary.parquet"), true));
    let mut keys = toml::Table::new();
    keys.insert("method".into(), attack.into());
    keys.insert(attack.into(), attack.into());
    let settings = toml::Table::from_iter([("search".to_owned(), keys.into()), (attack.to_owned(), attack.into())]);
    std::fs::write(folder.join("config.toml"), settings.to_string()).expect("settings");
    write_transcripts(folder, &rows, attack, 10);
    write_rows(&folder.join("archive.parquet"), rows);
}

/// A run of so many candidates as a search makes them: programs differ from their parents by some lines in their regions.
pub fn write_large_run(folder: &Path, attempts: usize) -> Vec<Candidate> {
    std::fs::create_dir_all(folder.join("gen001")).expect("a writable folder");
    let mut rows = rows("large", "spark", 7, attempts - 1);
    let mut noise = Noise(11);
    let mut sources: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    for row in &mut rows {
        let parent = row.parent_id.as_ref().and_then(|id| sources.get(id)).map_or(SEED_PROGRAM, String::as_str);
        // Edits change what is there as often as they add to it, so that programs do not grow without end.
        let mut lines: Vec<String> = parent.lines().map(str::to_owned).collect();
        for _ in 0..6 {
            let at = 20 + (noise.next() * (lines.len() - 40) as f64) as usize;
            let text = format!(
                "        self.part_{} = nn.Linear({}, size)",
                (noise.next() * 1e6) as u32,
                (noise.next() * 64.0) as u32
            );
            if noise.next() < 0.5 && lines.len() > 150 { lines[at] = text } else { lines.insert(at, text) }
        }
        row.source = lines.join("\n");
        row.parent_source = None;
        row.directive =
            Some(format!("Widen the projection of the receiver by {} and gate it", (noise.next() * 1000.0) as u32));
        sources.insert(row.candidate_id.clone(), row.source.clone());
    }
    let none = Extra::default();
    write_records(curves(&rows).iter().map(|p| (p, &none)), &folder.join("gen001/curves.parquet"), true)
        .expect("curves");
    write_records(diagnoses(&rows).iter().map(|r| (r, &none)), &folder.join("gen001/diagnosis.parquet"), true)
        .expect("diagnoses");
    write_rows(&folder.join("archive.parquet"), rows.clone());
    rows
}

/// Exchanges as a search has them: a prompt with the parent's program, and a reply with thoughts and a program.
pub fn write_talk(folder: &Path, rows: &[Candidate]) {
    const WORDS: [&str; 24] = [
        "gate",
        "the",
        "receiver",
        "messages",
        "of",
        "a",
        "triplet",
        "channel",
        "with",
        "lower",
        "rank",
        "and",
        "normalise",
        "before",
        "reduction",
        "so",
        "that",
        "gradients",
        "stay",
        "bounded",
        "on",
        "longer",
        "graphs",
        "softmax",
    ];
    let mut noise = Noise(13);
    let mut words = |n: usize| -> String {
        (0..n)
            .map(|i| format!("{}{}", WORDS[noise.below(WORDS.len())], if i % 14 == 13 { "\n" } else { " " }))
            .collect()
    };
    let source = |id: &Option<String>| {
        let row = id.as_ref().and_then(|id| rows.iter().find(|row| row.candidate_id == *id));
        row.map_or(SEED_PROGRAM, |row| row.source.as_str()).to_owned()
    };
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.parent_id.is_some()) {
        let asked =
            format!("Here is the program.\n\n{}\n\nWhat failed before:\n{}", source(&row.parent_id), words(120));
        let answer = format!("{}\n```python\n{}\n```\n", words(160), row.source);
        let line = serde_json::json!({
            "key": "k", "generation": 0, "slot": 0, "attempt": row.attempt, "call": 0, "agent": "writer", "model": "m", "params": {},
            "messages": [{"role": "system", "content": SEED_PROGRAM}, {"role": "user", "content": asked}],
            "reply": {"text": answer, "reasoning": null, "finish": "stop"}, "error": null,
            "usage": {"prompt_tokens": 3000, "completion_tokens": 900}, "cost": 0.01, "tries": [], "latency_ms": 1500,
            "time": "2026-03-01T12:00:00Z",
        });
        text += &format!("{line}\n");
    }
    std::fs::write(folder.join("transcripts.jsonl"), text).expect("transcripts");
}

/// Data that is packed into a page.
pub fn unpacked(page: &str, id: &str) -> serde_json::Value {
    use base64::Engine as _;
    let (_, rest) = page.split_once(&format!("<script type=\"text/plain\" id=\"{id}\">")).expect("packed data");
    let (packed, _) = rest.split_once('<').expect("its end");
    let bytes = base64::prelude::BASE64_STANDARD.decode(packed).expect("base64");
    serde_json::from_reader(flate2::read::GzDecoder::new(bytes.as_slice())).expect("JSON")
}
