//! ACTION regions: how the layers are used.
//!
//! A triple is (i, j, k): the pair (j, k) asks, and the middle node i answers. With `into` [B, i, j, T] and `through`
//! [B, i, k, T], the reductions over i are of two kinds: of triples `into + through`, and of products of pairs, which
//! cost one batched matrix product and no N^3 tensor.
//!
//! Rendered regions are open: they use the gates that the operator region defines, whichever these are, so that an
//! OPERATOR edit alone can add or drop a gate.

use super::frame::{Frame, Lines};
use super::genes::{Genome, is_triple};

/// The lines of the region, markers excluded.
#[must_use]
pub fn render(genome: &Genome, frame: &Frame) -> String {
    let mut lines = Lines::new(frame);
    lines.push(&format!("# {}", genome.note()));
    if frame.returns && frame.use_triplets {
        lines.open("if not self.use_triplets:");
        lines.push("return None");
        lines.close();
    }
    lines.push("# The pair (j, k) asks, and the middle nodes i answer.");
    let again = genome.is("rounds", "2");
    if again {
        lines.push("edges = edge_fts");
        lines.open("for _ in range(2):");
    }
    let edges = if again { "edges" } else { "edge_fts" };
    pairs(&mut lines, genome, edges);
    masks(&mut lines, genome);
    heads(&mut lines, genome);
    gates(&mut lines);
    finish(&mut lines, genome, frame, edges);
    if again {
        lines.push("edges = edge_fts + tri_msgs");
        lines.close();
    }
    if frame.returns {
        lines.push("return tri_msgs");
    }
    lines.finish()
}

/// `into`, `through` and `pair`: the terms of a triple by the pair of nodes that they belong to.
fn pairs(lines: &mut Lines, genome: &Genome, edges: &str) {
    let turned = |gene: &str| if genome.is(gene, "reverse") { ".transpose(1, 2)" } else { "" };
    lines.push("middle, left, right = self.t_1(z), self.t_2(z), self.t_3(z)");
    lines.push(&format!("into = self.t_e_1({edges}){}", turned("first")));
    lines.push(&format!("through = self.t_e_2({edges}){} + middle[:, :, None, :]", turned("second")));
    lines.push(&format!("direct = self.t_e_3({edges}){}", turned("direct")));
    if genome.is("direct", "both") {
        lines.push("direct = direct + direct.transpose(1, 2)");
    }
    lines.push("pair = left[:, :, None, :] + right[:, None, :, :] + direct + self.t_g(graph_fts)[:, None, None, :]");
    lines.push("gate = getattr(self, \"gate_middle\", None)");
    lines.open("if gate is not None:");
    lines.push("through = through * torch.sigmoid(gate(z))[:, :, None, :]");
    lines.close();
}

/// Which of the two edges of a path must exist.
fn masked(genome: &Genome) -> (bool, bool) {
    match genome.get("mask") {
        "first" => (true, false),
        "second" => (false, true),
        "path" => (true, true),
        _ => (false, false),
    }
}

fn masks(lines: &mut Lines, genome: &Genome) {
    let (first, second) = masked(genome);
    let soft = genome.is("mask", "soft");
    let adjacency = |gene: &str| if genome.is(gene, "reverse") { "adj_mat.transpose(1, 2)" } else { "adj_mat" };
    if first || soft {
        lines.push(&format!("first = {}[:, :, :, None]", adjacency("first")));
    }
    if second || soft {
        lines.push(&format!("second = {}[:, :, :, None]", adjacency("second")));
    }
    if soft {
        lines.push("into = into * first");
        lines.push("through = through * second");
    }
}

fn heads(lines: &mut Lines, genome: &Genome) {
    if genome.is("head_2", "none") {
        head(lines, genome, genome.get("head"), "into", "through", "found");
        return;
    }
    lines.push("into_1, into_2 = into.chunk(2, dim=-1)");
    lines.push("through_1, through_2 = through.chunk(2, dim=-1)");
    head(lines, genome, genome.get("head"), "into_1", "through_1", "found_1");
    head(lines, genome, genome.get("head_2"), "into_2", "through_2", "found_2");
    lines.push("found = torch.cat([found_1, found_2], dim=-1)");
}

/// One reduction over middle nodes, of `into` and `through` to `found` [B, j, k, T].
fn head(lines: &mut Lines, genome: &Genome, kind: &str, into: &str, through: &str, found: &str) {
    if is_triple(kind) {
        triples(lines, genome, kind, into, through, found);
    } else {
        products(lines, genome, kind, into, through, found);
    }
}

fn triples(lines: &mut Lines, genome: &Genome, kind: &str, into: &str, through: &str, found: &str) {
    let (first, second) = masked(genome);
    // A blocked triple must lose: by being far too small, or too large where the smallest wins.
    let (blocked, sound) = if kind == "min" { ("1e6", "< 1e5") } else { ("-1e6", "> -1e5") };
    for (name, mask, on) in [(into, "first", first), (through, "second", second)] {
        if on {
            lines.push(&format!("{name} = {name}.masked_fill({mask} == 0, {blocked})"));
        }
    }
    lines.push(&format!("triples = {into}[:, :, :, None, :] + {through}[:, :, None, :, :]"));
    let inner = genome.get("inner");
    if inner != "none" {
        lines.push(&format!("triples = F.{inner}(triples)"));
    }
    match kind {
        "min" => lines.push(&format!("{found} = triples.amin(dim=1)")),
        "mean" => lines.push(&format!("{found} = triples.mean(dim=1)")),
        "lse" => lines.push(&format!("{found} = torch.logsumexp(triples, dim=1)")),
        "soft" => lines.push(&format!("{found} = (torch.softmax(triples, dim=1) * triples).sum(dim=1)")),
        "runner-up" => {
            lines.push("best = triples.amax(dim=1, keepdim=True)");
            lines.push(&format!("{found} = triples.masked_fill(triples >= best, -1e6).amax(dim=1)"));
        }
        _ => lines.push(&format!("{found} = triples.amax(dim=1)")),
    }
    // An activation already takes a blocked triple to 0, unless the smallest wins.
    let open_ended = (first || second) && (inner == "none" || kind == "min");
    if open_ended || kind == "runner-up" {
        lines.push(&format!("{found} = torch.where({found} {sound}, {found}, torch.zeros_like({found}))"));
    }
}

fn products(lines: &mut Lines, genome: &Genome, kind: &str, into: &str, through: &str, found: &str) {
    let (first, second) = masked(genome);
    let through = if second { format!("{through} * second") } else { through.to_owned() };
    match kind {
        "jump" => {
            let logits = if first { format!("{into}.masked_fill(first == 0, -1e6)") } else { into.to_owned() };
            lines.push(&format!("trust = torch.softmax({logits}, dim=1)"));
            lines.push(&format!("{found} = torch.einsum(\"bijt,bikt->bjkt\", trust, {through})"));
        }
        "lookup" => {
            lines.push("scores = torch.einsum(\"bit,bjt->bij\", middle, left) / middle.shape[-1] ** 0.5");
            lines.push(&format!("scores = scores + {into}.mean(dim=-1)"));
            if first {
                lines.push("scores = scores.masked_fill(first[:, :, :, 0] == 0, -1e6)");
            }
            lines.push("trust = torch.softmax(scores, dim=1)");
            lines.push(&format!("{found} = torch.einsum(\"bij,bikt->bjkt\", trust, {through})"));
        }
        _ => {
            let trust = format!("torch.sigmoid({into})");
            lines.push(&format!("trust = {}", if first { format!("{trust} * first") } else { trust }));
            lines.push(&format!("{found} = torch.einsum(\"bijt,bikt->bjkt\", trust, {through})"));
            lines.push(&format!("{found} = {found} / (1.0 + trust.sum(dim=1))[:, :, None, :]"));
        }
    }
}

fn gates(lines: &mut Lines) {
    lines.push("gate = getattr(self, \"gate_node\", None)");
    lines.open("if gate is not None:");
    lines.push("level = gate(z)");
    lines.push("found = found * torch.sigmoid(level[:, :, None, :] + level[:, None, :, :])");
    lines.close();
    lines.push("gate = getattr(self, \"gate_edge\", None)");
    lines.open("if gate is not None:");
    lines.push("found = found * torch.sigmoid(gate(edge_fts))");
    lines.close();
    lines.push("gate = getattr(self, \"gate_graph\", None)");
    lines.open("if gate is not None:");
    lines.push("found = found * torch.sigmoid(gate(graph_fts))[:, None, None, :]");
    lines.close();
}

fn finish(lines: &mut Lines, genome: &Genome, frame: &Frame, edges: &str) {
    let mixed = match genome.get("combine") {
        "gate" => "found * torch.sigmoid(pair)",
        "modulate" => "pair + found * torch.sigmoid(pair)",
        _ => "pair + found",
    };
    lines.push(&format!("tri_msgs = self.o3({mixed})"));
    match genome.get("act") {
        "gelu" => lines.push("tri_msgs = F.gelu(tri_msgs)"),
        "tanh" => lines.push("tri_msgs = torch.tanh(tri_msgs)"),
        "elu" => lines.push("tri_msgs = F.elu(tri_msgs)"),
        "leaky" => lines.push("tri_msgs = F.leaky_relu(tri_msgs, negative_slope=0.1)"),
        "none" => {}
        _ if frame.activation => {
            lines.open("if self.activation is not None:");
            lines.push("tri_msgs = self.activation(tri_msgs)");
            lines.close();
        }
        _ => lines.push("tri_msgs = F.relu(tri_msgs)"),
    }
    match genome.get("finish") {
        "residual" => lines.push(&format!("tri_msgs = tri_msgs + {edges}")),
        "mirror" => lines.push("tri_msgs = tri_msgs + tri_msgs.transpose(1, 2)"),
        "edges" => lines.push("tri_msgs = tri_msgs * adj_mat[:, :, :, None]"),
        _ => {}
    }
}
