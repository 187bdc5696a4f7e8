use std::collections::BTreeMap;
use std::io::{Read, Write};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for word in input.split_whitespace() { *words.entry(word).or_default() += 1; }
    let mut out = std::fs::File::create("/out/words").unwrap();
    for (word, count) in &words { writeln!(out, "{word} {count}").unwrap(); }
    println!("{} {}", args[1], words.len());
    std::process::exit(words.len() as i32);
}
