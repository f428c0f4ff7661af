//! OPERATOR regions: the layers, under the names by which action regions know them.
//!
//! Whatever the genome, the region defines `t_1`, `t_2`, `t_3` (nodes of a triple), `t_e_1`, `t_e_2`, `t_e_3` (its
//! edges) and `t_g` (the graph), each giving T features, and `o3` from T to H features. Optional are the gates
//! `gate_node`, `gate_edge`, `gate_graph`, `gate_middle`, each giving T or 1 logits: an open action region uses those
//! that it finds.

use super::frame::{Frame, Lines};
use super::genes::Genome;

/// The lines of the region, markers excluded.
#[must_use]
pub fn render(genome: &Genome, frame: &Frame) -> String {
    let mut lines = Lines::new(frame);
    lines.push(&format!("# {}", genome.note()));
    if frame.use_triplets {
        lines.open("if self.use_triplets:");
    }
    let width = match genome.get("width") {
        "given" => "self.nb_triplet_fts",
        number => number,
    };
    lines.push(&format!("width = {width}"));
    for name in ["t_1", "t_2", "t_3"] {
        layer(&mut lines, name, &projection(&frame.z_size, genome, "node"));
    }
    for name in ["t_e_1", "t_e_2", "t_e_3"] {
        layer(&mut lines, name, &projection(&frame.e_size, genome, "edge"));
    }
    layer(&mut lines, "t_g", &[format!("nn.Linear({}, width)", frame.g_size)]);
    output(&mut lines, genome, frame);
    gates(&mut lines, genome, frame);
    if frame.moves {
        lines.push("self.to(z.device)");
    }
    lines.finish()
}

/// The modules of one projection from `size` to `width` features; `group` is `node` or `edge`.
fn projection(size: &str, genome: &Genome, group: &str) -> Vec<String> {
    let mut modules = Vec::new();
    if genome.is(&format!("{group}_norm"), "yes") {
        modules.push(format!("nn.LayerNorm({size})"));
    }
    let kind = genome.get(group);
    if let Some(rank) = kind.strip_prefix("rank") {
        modules.push(format!("nn.Linear({size}, {rank}, bias=False)"));
        modules.push(format!("nn.Linear({rank}, width)"));
    } else if let Some(inner) = kind.strip_prefix("mlp") {
        modules.push(format!("nn.Linear({size}, {inner})"));
        modules.push("nn.ReLU()".to_owned());
        modules.push(format!("nn.Linear({inner}, width)"));
    } else {
        modules.push(format!("nn.Linear({size}, width)"));
    }
    match genome.get(&format!("{group}_act")) {
        "tanh" => modules.push("nn.Tanh()".to_owned()),
        "relu" => modules.push("nn.ReLU()".to_owned()),
        "gelu" => modules.push("nn.GELU()".to_owned()),
        _ => {}
    }
    modules
}

fn layer(lines: &mut Lines, name: &str, modules: &[String]) {
    match modules {
        [module] => lines.push(&format!("self.{name} = {module}")),
        modules => lines.call(&format!("self.{name} = nn.Sequential"), modules),
    }
}

fn output(lines: &mut Lines, genome: &Genome, frame: &Frame) {
    let size = &frame.size;
    let kind = genome.get("output");
    let deep = matches!(kind, "mlp" | "normmlp");
    let last = if deep { format!("nn.Linear({size}, {size})") } else { format!("nn.Linear(width, {size})") };
    let mut modules = Vec::new();
    if matches!(kind, "norm" | "normmlp") {
        modules.push("nn.LayerNorm(width)".to_owned());
    }
    if deep {
        modules.push(format!("nn.Linear(width, {size})"));
        modules.push("nn.ReLU()".to_owned());
    }
    match genome.get("start") {
        "xavier" => {
            lines.push(&format!("last = {last}"));
            lines.push("nn.init.xavier_uniform_(last.weight)");
            modules.push("last".to_owned());
        }
        "small" => {
            lines.push(&format!("last = {last}"));
            lines.push("nn.init.normal_(last.weight, mean=0.0, std=0.02)");
            modules.push("last".to_owned());
        }
        _ => modules.push(last),
    }
    if kind == "postnorm" {
        modules.push(format!("nn.LayerNorm({size})"));
    }
    layer(lines, "o3", &modules);
}

fn gates(lines: &mut Lines, genome: &Genome, frame: &Frame) {
    let logits = if genome.is("gate_form", "scalar") { "1" } else { "width" };
    let bias = match genome.get("gate_bias") {
        "open" => Some("2.0"),
        "closed" => Some("-2.0"),
        _ => None,
    };
    let sizes = [
        ("gate_node", &frame.z_size),
        ("gate_edge", &frame.e_size),
        ("gate_graph", &frame.g_size),
        ("gate_middle", &frame.z_size),
    ];
    for (name, size) in sizes {
        if genome.is(name, "yes") {
            lines.push(&format!("self.{name} = nn.Linear({size}, {logits})"));
            if let Some(bias) = bias {
                lines.push(&format!("nn.init.constant_(self.{name}.bias, {bias})"));
            }
        }
    }
}
