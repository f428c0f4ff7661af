//! Programs made of random statements over values that hold and share each other: no input costs more than it may.
//! `FUZZ_COUNT` and `FUZZ_SEED` set how many and which.

mod limits;

use limits::check_patiently;
use program::on_big_stack;

/// Numbers that look random: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (n.max(1) as u64)).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "c", "d", "m", "f"];
const LEAVES: &[&str] =
    &["0", "1", "'x'", "'x' * 999", "0.5", "None", "True", "[]", "()", "{}", "range(99)", "nn.Identity()", "z", "n"];
const FORMS: &[&str] = &[
    "[@, @]",
    "(@, @)",
    "{0: @, 1: @}",
    "[@] * 9",
    "@ + @",
    "@ * @",
    "@ == @",
    "@ < @",
    "@ in [@]",
    "str(@)",
    "f'{@}{@}'",
    "'%s' % [@]",
    "sorted([@, @])",
    "max(@, @)",
    "list(@)",
    "tuple(@)",
    "set(@)",
    "dict(@)",
    "sum(@)",
    "@[0]",
    "@[::-1]",
    "len(@)",
    "isinstance(@, @)",
    "nn.Sequential(@, @)",
    "nn.ModuleList([@, @])",
    "nn.ModuleDict({'a': @})",
    "@(@)",
    "(lambda x: @)(@)",
    "lambda: @",
    "functools.partial(@, @)",
    "[@ for i in range(30)]",
    "{@: @}",
    "{@}",
    "list(zip(@, @))",
    "list(map(@, @))",
    "@.copy()",
    "''.join(@)",
    "@.split(@)",
    "list(@.modules())",
    "list(@.parameters())",
    "@.apply(@)",
    "torch.cat([@, @])",
    "@.view(@)",
    "@.expand(@, @)",
    "torch.zeros(@)",
    "@ ** @",
    "@ // @",
    "@ if @ else @",
    "not @",
    "-@",
    "copy.copy(@)",
    "functools.reduce(@, @)",
    "list(itertools.product(@, repeat=3))",
    "getattr(@, @, @)",
    "hasattr(@, @)",
    "@.x",
    "(@ := @)",
];
const STATEMENTS: &[&str] = &[
    "$ = @",
    "$.append(@)",
    "$[@] = @",
    "$ += @",
    "$.x = @",
    "setattr($, 'x', @)",
    "$ = $, $",
    "$ = [$, $]",
    "$.extend($)",
    "$.update(@)",
    "$, *$ = @",
    "del $[0]",
    "$ = nn.Sequential($, $)",
    "$ = {0: $, 1: $}",
    "$ = (lambda x: lambda: x)($)",
    "$.add_module('x', $)",
    "raise ValueError(@)",
    "assert @, @",
];
const BLOCKS: &[&str] =
    &["for i in range(48):", "for i in @:", "while @:", "if @:", "try:", "def f(x=@, *y, **z):", "class A:", "with @:"];

fn expression(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.below(3) == 0 {
        return if random.below(2) == 0 { random.pick(NAMES) } else { random.pick(LEAVES) }.into();
    }
    let form = random.pick(FORMS);
    form.chars().map(|c| if c == '@' { expression(random, depth - 1) } else { c.to_string() }).collect::<String>()
}

fn filled(random: &mut Random, form: &str) -> String {
    let mut text = String::new();
    for c in form.chars() {
        match c {
            '@' => text.push_str(&expression(random, 2)),
            '$' => text.push_str(random.pick(NAMES)),
            c => text.push(c),
        }
    }
    text
}

fn block(random: &mut Random, indent: usize, out: &mut String) {
    for _ in 0..=random.below(4) {
        let pad = "    ".repeat(indent);
        if indent < 4 && random.below(3) == 0 {
            let head = random.pick(BLOCKS);
            let line = filled(random, head);
            out.push_str(&format!("{pad}{line}\n"));
            block(random, indent + 1, out);
            if head == "try:" {
                out.push_str(&format!("{pad}except Exception as e:\n"));
                block(random, indent + 1, out);
            }
        } else {
            let form = random.pick(STATEMENTS);
            let line = filled(random, form);
            out.push_str(&format!("{pad}{line}\n"));
        }
    }
}

/// A whole program whose module body is random; what follows is what the checker asks of every program.
fn program(random: &mut Random) -> String {
    let mut text = String::from(
        "# ===== BEGIN OPERATOR REGION =====\n# ===== END OPERATOR REGION =====\n# ===== BEGIN ACTION REGION =====\n\
         # ===== END ACTION REGION =====\nimport copy, functools, itertools, torch\nimport torch.nn as nn\n\
         a, b, c, d, m, f = [], {}, (1,), [1], nn.Sequential(), len\nz, n = torch.zeros(2, 3), 7\n",
    );
    for _ in 0..3 {
        block(random, 0, &mut text);
    }
    text
}

fn fuzz(count: u64, seed: u64) {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, seed): (u64, u64) = (number("FUZZ_COUNT", count), number("FUZZ_SEED", seed));
    let start = std::time::Instant::now();
    on_big_stack(|| {
        let mut random = Random(seed);
        for i in 0..count {
            let source = program(&mut random);
            let (compiled, cost) = check_patiently(&source);
            assert!(cost.is_fine(), "input {i} of seed {seed} takes {cost:?}:\n{source}");
            let gave_up = compiled.diagnostics.iter().any(|d| d.code == "E-INTERNAL");
            assert!(!gave_up, "input {i} of seed {seed}: {:?}\n{source}", compiled.diagnostics);
        }
    });
    eprintln!("{count} programs of seed {seed} in {:.1} s", start.elapsed().as_secs_f64());
}

#[test]
fn random_values_cost_no_more_than_they_may() {
    fuzz(3000, 1);
}

#[test]
#[ignore = "an hour: part of make test-full"]
fn random_values_cost_no_more_than_they_may_at_length() {
    fuzz(10_000_000, 2);
}
