use std::collections::BTreeMap;
use std::{env, fs, panic, process, thread, time::Instant};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for word in &words {
        *seen.entry(word).or_default() += 1;
    }
    for (word, n) in &seen {
        println!("{word} {n}");
    }
    println!("{:.17} {:?} {}", 1.0 / 3.0, "é€😀".chars().rev().collect::<String>(), u128::MAX);
    println!("{:?} {}", env::var("NOWHERE"), thread::Builder::new().spawn(|| 1).is_err());
    fs::create_dir_all("made/below").unwrap();
    fs::write("made/below/f.txt", "kept").unwrap();
    fs::rename("made/below/f.txt", "made/g.txt").unwrap();
    let mut names: Vec<_> = fs::read_dir("made").unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    println!("{names:?} {} {:?}", fs::read_to_string("made/g.txt").unwrap(), fs::metadata("made/below").unwrap().is_dir());
    println!("{:?} {:?}", fs::read("nowhere").unwrap_err().kind(), "x".parse::<i32>().map_err(|e| e.to_string()));
    fs::remove_dir_all("made").unwrap();
    let begun = Instant::now();
    assert!(begun.elapsed().as_nanos() < u128::MAX);
    panic::set_hook(Box::new(|info| println!("hook: {info}")));
    if words.len() > 3 {
        let at = words.len() * 7;
        println!("{}", words[at]);
    }
    process::exit(seen.len() as i32);
}
