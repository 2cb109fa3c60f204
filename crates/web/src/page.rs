//! The few pages that people see: no script, no picture, nothing from elsewhere.

const STYLE: &str = "body{font:18px/1.5 system-ui,sans-serif;color:#222;background:#f4f4f1;margin:0}\
    main{max-width:32em;margin:12vh auto 0;padding:2em;background:#fff;border:1px solid #ddd;border-radius:8px}\
    h1{font-size:1.3em;margin:0 0 .6em}\
    b{overflow-wrap:anywhere}\
    button{font:inherit;color:#fff;background:#1f5f8b;border:0;border-radius:6px;padding:.6em 1.4em;cursor:pointer}\
    button:focus-visible{outline:3px solid #9cc7e3}\
    p:last-child{color:#666;font-size:.85em;margin-bottom:0}\
    @media(max-width:36em){main{margin:0;border:0;border-radius:0;min-height:100vh;box-sizing:border-box}}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}main{background:#222;border-color:#333}\
    p:last-child{color:#999}}";

/// Asks a member whether to leave. The form goes to the address of the page.
pub(crate) fn confirm(list: &str, member: &str) -> String {
    let (list, member) = (escaped(list), escaped(member));
    document(
        "Leave the mailing list?",
        &format!(
            "<p><b>{member}</b> gets the mail of the list <b>{list}</b>.</p>\
             <form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
             <p><button type=\"submit\">Leave the list</button></p></form>\
             <p>If you did not mean to leave, close this page: nothing has changed.</p>"
        ),
    )
}

pub(crate) fn unknown() -> String {
    document(
        "There is nothing here",
        "<p>This address is not complete, or its list is gone. The message it came with has the whole address in its \
         List-Unsubscribe field.</p>",
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_texts_and_nothing_else() {
        let page = super::confirm("a&b@x.example", "\"<script>alert('1')</script>\"@x.example");
        assert!(page.contains("a&amp;b@x.example"));
        assert!(page.contains("&quot;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;@x.example"));
    }
}
