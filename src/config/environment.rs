//! What a configuration may read from outside its file.

use std::collections::HashMap;
use std::io;

/// The variables and files that `${NAME}` and `${file:PATH}` stand for.
pub struct Environment(Source);

enum Source {
    Process,
    Fixed { variables: HashMap<String, String>, files: HashMap<String, String> },
}

impl Environment {
    /// This process's variables and the file system.
    pub fn process() -> Self {
        Self(Source::Process)
    }

    /// These variables and these files, nothing else.
    pub fn fixed(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Self(Source::Fixed { variables: owned(variables), files: owned(files) })
    }

    fn variable(&self, name: &str) -> Option<String> {
        match &self.0 {
            Source::Process => std::env::var(name).ok(),
            Source::Fixed { variables, .. } => variables.get(name).cloned(),
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// It is not there, may not be read, or is no text.
    pub(super) fn file(&self, path: &str) -> io::Result<String> {
        match &self.0 {
            Source::Process => std::fs::read_to_string(path),
            Source::Fixed { files, .. } => {
                files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            }
        }
    }

    /// `text` with every `${NAME}` and `${file:PATH}` replaced; `$$` is a dollar sign.
    ///
    /// A file's trailing line break is dropped: editors and `echo` add one to a secret.
    ///
    /// # Errors
    /// What cannot be read and what to do, without any value.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                expanded.push('$');
                rest = tail;
            } else if let Some(reference) = after.strip_prefix('{') {
                let Some(end) = reference.find('}') else {
                    return Err("has `${` without `}`; write ${NAME}, or $$ for a dollar sign".to_owned());
                };
                expanded.push_str(&self.resolve(&reference[..end])?);
                rest = &reference[end + 1..];
            } else {
                expanded.push('$');
                rest = after;
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn resolve(&self, reference: &str) -> Result<String, String> {
        if let Some(path) = reference.strip_prefix("file:") {
            let read = self.file(path);
            let text =
                read.map_err(|error| format!("needs the file {path}, which cannot be read: {error}"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            return Ok(text.strip_suffix('\r').unwrap_or(text).to_owned());
        }
        let named = reference.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named {
            return Err(format!(
                "has `${{{reference}}}`, which names neither a variable nor a file; write ${{NAME}} or ${{file:/path}}"
            ));
        }
        self.variable(reference)
            .ok_or_else(|| format!("needs the environment variable {reference}, which is not set; set it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let environment = Environment::fixed(
            &[("HOST", "a.example"), ("_p1", "v1")],
            &[("/run/key", "sk-1\n"), ("/crlf", "x\r\n")],
        );
        for (written, meant) in [
            ("plain", "plain"),
            ("https://${HOST}/${_p1}", "https://a.example/v1"),
            ("${file:/run/key}", "sk-1"),
            ("<${file:/crlf}>", "<x>"),
            ("$$", "$"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$a.example"),
            ("5$ and $5", "5$ and $5"),
            ("é${HOST}ü", "éa.exampleü"),
            ("", ""),
        ] {
            assert_eq!(environment.expand(written).as_deref(), Ok(meant), "{written}");
        }
    }

    #[test]
    fn only_the_last_line_break_of_a_file_goes() {
        let environment = Environment::fixed(&[], &[("/two", "a\n\n"), ("/inner", "a\nb")]);
        assert_eq!(environment.expand("${file:/two}").as_deref(), Ok("a\n"));
        assert_eq!(environment.expand("${file:/inner}").as_deref(), Ok("a\nb"));
    }

    #[test]
    fn what_is_read_is_not_expanded_again() {
        let environment = Environment::fixed(&[("A", "${B}$$"), ("B", "no")], &[]);
        assert_eq!(environment.expand("${A}").as_deref(), Ok("${B}$$"));
    }

    #[test]
    fn a_process_has_variables_and_files() {
        let environment = Environment::process();
        let manifest = concat!("${file:", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml}");
        assert!(environment.expand(manifest).is_ok_and(|text| text.starts_with("[package]")));
        assert_eq!(environment.expand("${PATH}").ok(), std::env::var("PATH").ok());
        assert!(environment.expand("${file:/no/such/file}").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let environment = Environment::fixed(&[], &[]);
        for (written, named) in [
            ("${MISSING}", "environment variable MISSING"),
            ("${file:/none}", "the file /none"),
            ("a ${OPEN", "without `}`"),
            ("${}", "${}"),
            ("${1A}", "${1A}"),
            ("${A-B}", "${A-B}"),
        ] {
            let problem = environment.expand(written).expect_err(written);
            assert!(problem.contains(named), "{written}: {problem}");
        }
    }
}
