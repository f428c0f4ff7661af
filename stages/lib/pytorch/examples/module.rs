//! Prints a program's network as PyTorch: `cargo run -p pytorch --example module -- dfs data/seed_pgn.py [HIDDEN] [PASSES]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [task, program, rest @ ..] = args.as_slice() else { return Err("TASK PROGRAM [HIDDEN] [PASSES]".into()) };
    let number = |at: usize, or: usize| rest.get(at).map_or(Ok(or), |text| text.parse());
    let options = program::Options { hidden: number(0, 32)?, need_regions: false, ..program::Options::default() };
    let compiled = program::compile(&std::fs::read_to_string(program)?, &options);
    let processor = compiled.processor.ok_or("the program is not valid: see `check`")?;
    let algorithm = clrs::algorithm(task).ok_or("no such task: see `sample --list`")?;
    let settings = pytorch::Settings { nb_msg_passing_steps: number(1, 1)?, hint_repred_mode: model::Repred::Soft };
    print!("{}", pytorch::module(&processor, algorithm, settings, "Written from its typed graph.")?.source);
    Ok(())
}
