//! Whole programs around random tensor code: most of them are typed, many are accepted, and then have costs and a normal form.

use crate::edits::{ACTION, OPERATOR, SMALL};
use crate::random::Random;

/// Code in which `@` is a tensor of nodes [B, N, H] and `&` one of edges [B, N, N, H]; it makes either.
const NODES: &[&str] = &[
    "@ + @",
    "@ * torch.sigmoid(@)",
    "self.a(@)",
    "self.b(torch.relu(@))",
    "torch.maximum(@, @)",
    "F.softmax(@, dim=-1)",
    "@ - @.mean(dim=1, keepdim=True)",
    "self.norm(@)",
    "torch.where(@ > 0, @, @)",
    "torch.cat([@, @], dim=-1)[..., :16]",
    "torch.einsum('bih,bjh->bijh', @, @).max(dim=1)[0]",
    "torch.einsum('bih,bih->bih', @, @)",
    "torch.matmul(adj_mat, @)",
    "&.amax(dim=1)",
    "&.mean(dim=2)",
    "&.sum(1)",
    "torch.logsumexp(&, dim=2)",
    "(& * adj_mat.unsqueeze(-1)).max(dim=2).values",
    "@.masked_fill(@ > 1, 0.0)",
    "torch.stack([@, @]).sum(0)",
    "@.view(@.shape[0], -1, 4, 4).transpose(-1, -2).reshape(@.shape)",
    "sum([@ * k for k in range(5)])",
    "self.mha(@, @, @)[0]",
    "torch.cumsum(@, dim=-1)",
    "@.sort(dim=-1)[0]",
    "torch.topk(@, 3, dim=-1)[0].sum(-1, keepdim=True) * @",
    "@.clamp(-1, 1).pow(2)",
    "@.float() + adj_mat.sum(-1, keepdim=True)",
    "@[:, :, [0] * 16]",
    "@.roll(1, dims=-1)",
    "torch.zeros_like(@).scatter_(-1, @.argmax(-1, keepdim=True), 1.0)",
];
const EDGES: &[&str] = &[
    "@.unsqueeze(1) + @.unsqueeze(2)",
    "& + &",
    "self.c(&)",
    "torch.relu(&)",
    "torch.einsum('bih,bjh->bijh', @, @)",
    "(@.unsqueeze(1) + &).transpose(1, 2)",
    "& * adj_mat[..., None]",
    "torch.einsum('bijh,bjkh->bikh', &, &)",
    "(&.unsqueeze(1) + &.unsqueeze(3)).max(dim=2)[0]",
    "F.softmax(&.masked_fill(adj_mat.unsqueeze(-1) == 0, -1e6), dim=2)",
    "edge_fts",
];

fn expression(random: &mut Random, nodes: bool, depth: usize) -> String {
    if depth == 0 || random.one_in(4) {
        let leaf = if nodes { random.pick(&["z", "hidden", "u", "v"]) } else { random.pick(&["e", "edge_fts"]) };
        return leaf.into();
    }
    let form = random.pick(if nodes { NODES } else { EDGES });
    let mut text = String::from("(");
    for c in form.chars() {
        match c {
            '@' => text.push_str(&expression(random, true, depth - 1)),
            '&' => text.push_str(&expression(random, false, depth - 1)),
            c => text.push(c),
        }
    }
    text.push(')');
    text
}

pub fn program(random: &mut Random) -> String {
    let mut code = String::from("        u, v, e = z, hidden, edge_fts\n");
    for _ in 0..1 + random.below(4) {
        let repeated = random.one_in(4);
        let indent = if repeated {
            let most = if random.one_in(9) { 400 } else { 6 };
            code.push_str(&format!("        for _ in range({}):\n", 1 + random.below(most)));
            "            "
        } else {
            "        "
        };
        let nodes = random.below(3) > 0;
        let target = if nodes { random.pick(&["u", "v", "z"]) } else { "e" };
        code.push_str(&format!("{indent}{target} = {}\n", expression(random, nodes, 2)));
    }
    code.push_str("        z = z + u + v + e.amax(dim=1)\n");
    let layers = "        self.c = nn.Linear(out_size, out_size)\n        self.norm = nn.LayerNorm(out_size)\n\
                  \x20       self.mha = nn.MultiheadAttention(out_size, 4, batch_first=True)\n";
    let behind = |text: &str, mark: &str, code: &str| text.replacen(mark, &format!("{mark}{code}"), 1);
    behind(&behind(SMALL, OPERATOR, layers), ACTION, &code)
}
