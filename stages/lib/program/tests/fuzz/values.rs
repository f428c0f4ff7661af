//! Random statements over values that hold and share each other.

use crate::random::Random;

const NAMES: &[&str] = &["a", "b", "c", "d", "m", "f"];
const LEAVES: &[&str] = &[
    "0",
    "1",
    "-1",
    "10**30",
    "1e308",
    "(1 << 63) - 1",
    "'x'",
    "''",
    "'9' * 5000",
    "'x' * 999",
    "0.5",
    "None",
    "True",
    "[]",
    "()",
    "{}",
    "range(99)",
    "nn.Identity()",
    "z",
    "n",
];
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
    "getattr(@, 'x', @)",
    "hasattr(@, 'x')",
    "@.x",
    "(@ := @)",
    "f'{@:>{@}}'",
    "f'{@!r:.{n}f}'",
    "'%*d' % (@, @)",
    "'{:>{}}'.format(@, @)",
    "@ << @",
    "@ % @",
    "@ if @ is @ else @",
    "[*@, *@]",
    "{**@, **@}",
    "@[@:@]",
    "@[@, ..., None]",
    "divmod(@, @)",
    "round(@, @)",
    "int(@)",
    "float(@)",
    "range(@, @, @)",
    "enumerate(@)",
    "reversed(@)",
    "all(@ for i in @)",
    "max(@, key=lambda v: @)",
    "sorted(@, key=@, reverse=@)",
    "pow(@, @, @)",
    "@.replace(@, @)",
    "@.zfill(@)",
    "@.center(@)",
    "'x'.ljust(@)",
    "@.repeat(@)",
    "torch.full((@, @), @)",
    "torch.tensor(@)",
    "torch.arange(@)",
    "nn.Linear(@, @)",
    "nn.Parameter(@)",
    "iter(@)",
    "next(@, @)",
    "type(@)",
    "slice(@, @)",
    "{k: v for k, v in @}",
    "[x for x in @ if @]",
    "(lambda *p, **q: (p, q))(*@, **@)",
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
    "for $ in @: $ = @",
    "while @: $ = @; break",
    "$: @ = @",
    "$[@:@] = @",
    "$ *= @",
    "$ **= @",
    "$ <<= @",
    "global $; $ = @",
    "with @ as $: pass",
    "[$, *$] = @",
    "del $",
    "def $(x=@): return @",
    "class $: x = @",
    "class $(nn.Module): x = property(lambda self: @)",
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

const HEAD: &str = "import copy, functools, itertools, torch\nimport torch.nn as nn\n\
                    a, b, c, d, m, f = [], {}, (1,), [1], nn.Sequential(), len\nz, n = torch.zeros(2, 3), 7\n";

const REGIONS: &str = "# ===== BEGIN OPERATOR REGION =====\n# ===== END OPERATOR REGION =====\n\
                       # ===== BEGIN ACTION REGION =====\n# ===== END ACTION REGION =====\n";

/// A program whose module body is random.
pub fn program(random: &mut Random) -> String {
    let mut text = format!("{REGIONS}{HEAD}");
    for _ in 0..3 {
        block(random, 0, &mut text);
    }
    text
}

/// A few statements, over as few values.
pub fn few(random: &mut Random) -> String {
    let mut text = format!(
        "{REGIONS}import torch\nimport torch.nn as nn\na, b, c, d, m, f, z, n = [], {{}}, (1,), [1], 'm', len, 2.5, 7\n"
    );
    for _ in 0..=random.below(3) {
        let form = random.pick(STATEMENTS);
        text.push_str(&filled(random, form));
        text.push('\n');
    }
    text
}
