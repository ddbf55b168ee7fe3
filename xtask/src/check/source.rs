//! One Rust file as the walls see it: its lines of product code, its modules, and every path it mentions.
//!
//! Tokens are enough for that: a lexer that knows strings and comments, and no more of the grammar than `use`, `mod` and `::`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

pub(crate) struct Source {
    /// From the workspace's root.
    pub(crate) path: PathBuf,
    pub(crate) opens_with_doc: bool,
    /// A file that is a test as a whole: below `tests/`, or declared `#[cfg(test)] mod name;`.
    pub(crate) is_test: bool,
    /// Lines outside `#[cfg(test)]`.
    pub(crate) product_lines: usize,
    /// Paths outside `#[cfg(test)]`, each with the line it stands on.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) modules: Vec<Module>,
    /// Lines with the keyword `unsafe`, tests included.
    pub(crate) unsafe_lines: Vec<usize>,
}

/// `a::b::c`, as written: `use a::{b, c}` is two of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Names of the inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
}

/// `mod name;` or `mod name { .. }`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Module {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) only_for_tests: bool,
}

#[derive(Default)]
struct Reading {
    mentions: Vec<Mention>,
    modules: Vec<Module>,
    unsafe_lines: Vec<usize>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| anyhow!("{}:{}: not Rust: {error}", path.display(), error.span().start().line))?;
        let mut reading = Reading::default();
        reading.walk(&tokens.into_iter().collect::<Vec<_>>(), &mut Vec::new(), false);
        let Reading { mentions, modules, unsafe_lines, test_lines } = reading;
        let lines = text.lines().count();
        let for_tests: usize = test_lines.iter().map(|range| range.end() - range.start() + 1).sum();
        Ok(Self {
            path: path.to_path_buf(),
            is_test: path.iter().any(|part| part == "tests" || part == "benches" || part == "examples"),
            opens_with_doc: text.starts_with("//!"),
            product_lines: lines - for_tests,
            mentions,
            modules,
            unsafe_lines,
        })
    }

    /// The folder of the crate that this file belongs to: `src`, or a program's own below `src/bin`; `None` outside both.
    pub(crate) fn crate_src(&self) -> Option<PathBuf> {
        let parts: Vec<_> = self.path.iter().collect();
        let src = parts.iter().position(|part| *part == "src")? + 1;
        let is_program = parts.get(src).is_some_and(|part| *part == "bin");
        Some(parts[..if is_program { src + 2 } else { src }].iter().collect())
    }

    /// The names from the crate's root to the module that this file is; empty for the root itself.
    pub(crate) fn module(&self) -> Vec<String> {
        let src = self.crate_src().unwrap_or_default();
        let inside = self.path.strip_prefix(src).unwrap_or(&self.path).with_extension("");
        let names: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if names == ["lib"] || names == ["main"] { Vec::new() } else { names }
    }

    /// `mention` with `self`, `super` and the names of child modules spelt from `crate`; another crate's path as it is.
    pub(crate) fn absolute(&self, mention: &Mention) -> Vec<String> {
        let mut module: Vec<String> = self.module();
        module.extend(mention.inside.iter().cloned());
        let mut rest = mention.segments.iter().peekable();
        match rest.peek().map(|first| first.as_str()) {
            Some("crate") => return mention.segments.clone(),
            Some("self" | "super") => {}
            Some(first) if mention.inside.is_empty() && self.modules.iter().any(|child| child.name == first) => {}
            _ => return mention.segments.clone(),
        }
        while let Some(step) = rest.next_if(|step| *step == "self" || *step == "super") {
            if step == "super" {
                module.pop();
            }
        }
        std::iter::once("crate".to_owned()).chain(module).chain(rest.cloned()).collect()
    }
}

/// Files know of themselves only where they lie; which of them are tests, the files that declare them know.
pub(crate) fn mark_tests(sources: &mut [Source]) {
    let declared = |source: &Source| {
        let only_for_tests = source.modules.iter().filter(|module| module.only_for_tests);
        let path = |module: &Module| [source.module(), vec![module.name.clone()]].concat();
        only_for_tests.map(|module| (source.crate_src(), path(module))).collect::<Vec<_>>()
    };
    let tests: Vec<_> = sources.iter().flat_map(declared).collect();
    for source in sources {
        let of_a_test = tests.iter().any(|(src, test)| *src == source.crate_src() && source.module().starts_with(test));
        source.is_test |= of_a_test;
    }
}

impl Reading {
    fn walk(&mut self, tokens: &[TokenTree], inside: &mut Vec<String>, in_test: bool) {
        let mut at = 0;
        while at < tokens.len() {
            if !in_test && let Some(length) = test_item(&tokens[at..]) {
                let item = &tokens[at..at + length];
                self.test_lines.push(line(&item[0])..=last_line(&item[length - 1]));
                self.walk(item, inside, true);
                at += length;
                continue;
            }
            at += match &tokens[at] {
                TokenTree::Ident(word) if word == "use" => self.read_use(&tokens[at..], inside, in_test),
                TokenTree::Ident(word) if word == "mod" => self.read_mod(&tokens[at..], inside, in_test),
                TokenTree::Ident(word) if word == "unsafe" => {
                    self.unsafe_lines.push(line(&tokens[at]));
                    1
                }
                TokenTree::Ident(_) => self.read_path(&tokens[at..], inside, in_test),
                TokenTree::Group(group) => {
                    self.walk(&group.stream().into_iter().collect::<Vec<_>>(), inside, in_test);
                    1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
        }
    }

    /// `use a::{b, c as d};`: the number of tokens up to and with the semicolon.
    fn read_use(&mut self, tokens: &[TokenTree], inside: &[String], in_test: bool) -> usize {
        let length = tokens.iter().position(|token| is_punct(token, ';')).map_or(tokens.len(), |end| end + 1);
        if !in_test {
            self.expand_use(&tokens[1..length], &[], inside);
        }
        length
    }

    fn expand_use(&mut self, tree: &[TokenTree], prefix: &[String], inside: &[String]) {
        for branch in tree.split(|token| is_punct(token, ',') || is_punct(token, ';')) {
            let mut segments = prefix.to_vec();
            let mut line_of_branch = None;
            for token in branch {
                line_of_branch.get_or_insert(line(token));
                match token {
                    TokenTree::Ident(word) if word == "as" => break,
                    TokenTree::Ident(word) => segments.push(word.to_string()),
                    TokenTree::Group(group) => {
                        self.expand_use(&group.stream().into_iter().collect::<Vec<_>>(), &segments, inside);
                        line_of_branch = None;
                        break;
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
            if let Some(line) = line_of_branch {
                self.mentions.push(Mention { line, segments, inside: inside.to_vec() });
            }
        }
    }

    fn read_mod(&mut self, tokens: &[TokenTree], inside: &mut Vec<String>, in_test: bool) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(1) else { return 1 };
        let name = name.to_string();
        self.modules.push(Module { line: line(&tokens[0]), name: name.clone(), only_for_tests: in_test });
        if let Some(TokenTree::Group(body)) = tokens.get(2) {
            inside.push(name);
            self.walk(&body.stream().into_iter().collect::<Vec<_>>(), inside, in_test);
            inside.pop();
        }
        3
    }

    /// `a::b::c` in code; a lone name is of no interest.
    fn read_path(&mut self, tokens: &[TokenTree], inside: &[String], in_test: bool) -> usize {
        let mut segments = Vec::new();
        let mut length = 0;
        while let Some(TokenTree::Ident(word)) = tokens.get(length) {
            segments.push(word.to_string());
            length += 1;
            let colons = [tokens.get(length), tokens.get(length + 1)];
            if !colons.iter().all(|token| token.is_some_and(|token| is_punct(token, ':'))) {
                break;
            }
            length += 2;
        }
        if segments.len() > 1 && !in_test {
            self.mentions.push(Mention { line: line(&tokens[0]), segments, inside: inside.to_vec() });
        }
        length
    }
}

/// The length of the item that `#[cfg(test)]` at the start of `tokens` keeps out of the product.
fn test_item(tokens: &[TokenTree]) -> Option<usize> {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = tokens else { return None };
    let says = attribute.stream().to_string().replace(' ', "");
    if hash.as_char() != '#' || attribute.delimiter() != Delimiter::Bracket || says != "cfg(test)" {
        return None;
    }
    let is_use = tokens.iter().take_while(|token| !is_brace(token)).any(|token| is_ident(token, "use"));
    let end = tokens.iter().position(|token| is_punct(token, ';') || (!is_use && is_brace(token)));
    Some(end.map_or(tokens.len(), |end| end + 1))
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn last_line(token: &TokenTree) -> usize {
    token.span().end().line
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn is_brace(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse(Path::new("x/src/y.rs"), text).unwrap()
    }

    fn mentioned(text: &str) -> Vec<String> {
        parse(text).mentions.iter().map(|mention| format!("{} {}", mention.line, mention.segments.join("::"))).collect()
    }

    #[test]
    fn a_use_tree_is_its_leaves() {
        let text = "use a::{b, c::{self, d as e}};\npub(crate) use f::*;";
        assert_eq!(mentioned(text), ["1 a::b", "1 a::c::self", "1 a::c::d", "2 f"]);
    }

    #[test]
    fn a_path_in_code_counts_and_a_word_in_a_string_or_comment_does_not() {
        let text = "fn f() {\n    // kube::x\n    g(\"kube::y\");\n    let z: Vec<kube::Api<T>> = kube::z::<T>();\n}";
        assert_eq!(mentioned(text), ["4 kube::Api", "4 kube::z"]);
    }

    #[test]
    fn tests_are_no_product() {
        let text =
            "//! x\nuse a::b;\n#[cfg(test)]\nuse c::{d};\nfn f() {}\n#[cfg(test)]\nmod tests {\n    use e::f;\n}\n";
        let source = parse(text);
        assert_eq!(mentioned(text), ["2 a::b"]);
        assert_eq!(source.product_lines, 3);
        assert!(source.modules[0].only_for_tests);
        assert!(source.opens_with_doc);
    }

    #[test]
    fn a_relative_path_is_spelt_from_the_crate() {
        let text = "mod child;\nuse super::a;\nuse self::b;\nfn f() { child::c(); other::d(); crate::e(); }";
        let source = Source::parse(Path::new("x/src/p/q.rs"), text).unwrap();
        let absolute: Vec<_> = source.mentions.iter().map(|mention| source.absolute(mention).join("::")).collect();
        assert_eq!(absolute, ["crate::p::a", "crate::p::q::b", "crate::p::q::child::c", "other::d", "crate::e"]);
    }

    #[test]
    fn a_file_that_is_declared_for_tests_is_one() {
        let parse = |path: &str, text: &str| Source::parse(Path::new(path), text).unwrap();
        let mut sources = [
            parse("x/src/a.rs", "mod b;\n#[cfg(test)]\nmod checks;"),
            parse("x/src/a/b.rs", ""),
            parse("x/src/a/checks.rs", ""),
            parse("x/tests/t.rs", ""),
            parse("y/src/a/checks.rs", ""),
        ];
        mark_tests(&mut sources);
        assert_eq!(sources.map(|source| source.is_test), [false, false, true, true, false]);
    }

    #[test]
    fn a_program_below_bin_is_a_crate_of_its_own() {
        let of = |path: &str| {
            let source = Source::parse(Path::new(path), "").unwrap();
            (source.crate_src().unwrap().display().to_string(), source.module().join("::"))
        };
        assert_eq!(of("x/src/a/b.rs"), ("x/src".to_owned(), "a::b".to_owned()));
        assert_eq!(of("x/src/lib.rs"), ("x/src".to_owned(), String::new()));
        assert_eq!(of("x/src/bin/p/main.rs"), ("x/src/bin/p".to_owned(), String::new()));
        assert_eq!(of("x/src/bin/p/a.rs"), ("x/src/bin/p".to_owned(), "a".to_owned()));
        assert_eq!(of("x/src/bin/q.rs").1, "");
    }

    #[test]
    fn a_path_knows_the_inline_module_around_it() {
        let source = parse("mod inner {\n    use super::a;\n}\nunsafe fn f() {}");
        assert_eq!(source.mentions[0].inside, ["inner"]);
        assert_eq!(source.unsafe_lines, [4]);
    }
}
