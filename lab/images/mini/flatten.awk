# YAML to lines `path=value`, list members by number: {users: [{name: ada}]} gives users.0.name=ada.
# Reads block and flow collections, plain and quoted scalars (also folded over lines), comments; so JSON as well.
# Does not read anchors, tags, several documents, or literal blocks (their lines become one plain scalar).

function joined(base, key) { return base == "" ? key : base "." key }
function stripped(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }

function unescaped(s,    out, c) {     # the inside of double quotes
    out = ""
    while (match(s, /\\./)) {
        c = substr(s, RSTART + 1, 1)
        out = out substr(s, 1, RSTART - 1) (c == "n" ? " " : c == "t" ? "\t" : c)
        s = substr(s, RSTART + 2)
    }
    return out s
}

function quoted(    mark, out, c) {    # a quoted scalar at `at` in `text`; moves `at` behind it
    mark = substr(text, at, 1); out = ""
    for (at++; at <= length(text); at++) {
        c = substr(text, at, 1)
        if (c == "\\" && mark == "\"") { out = out c substr(text, ++at, 1); continue }
        if (c == mark && mark == "'" && substr(text, at + 1, 1) == mark) { out = out c; at++; continue }
        if (c == mark) break
        out = out c
    }
    at++
    return mark == "\"" ? unescaped(out) : out
}

function blanks() { while (at <= length(text) && substr(text, at, 1) ~ /[ \t]/) at++ }

function plain(stop,    start) {       # up to a character of `stop`, or a colon that ends a key
    start = at
    while (at <= length(text) && index(stop, substr(text, at, 1)) == 0 && substr(text, at) !~ /^:([] ,}]|$)/) at++
    return stripped(substr(text, start, at - start))
}

function flow(path,    c, n, key) {
    blanks(); c = substr(text, at, 1)
    if (c == "[" || c == "{") {
        at++
        for (n = 0; ; n++) {
            blanks()
            if (at > length(text) || index("]}", substr(text, at, 1))) { at++; return }
            if (c == "{") {
                key = substr(text, at, 1) ~ /["']/ ? quoted() : plain(",{}[]")
                blanks(); if (substr(text, at, 1) == ":") at++
            } else key = n
            flow(joined(path, key))
            blanks(); if (substr(text, at, 1) == ",") at++
        }
    }
    print path "=" (c ~ /["']/ ? quoted() : plain(",]}"))
}

function open(s,    i, c, mark, depth, last) {     # is a bracket or a quote of s still open?
    mark = last = ""; depth = 0
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (mark == "\"" && c == "\\" || mark == "'" && substr(s, i, 2) == "''") i++
        else if (mark != "") { if (c == mark) mark = "" }
        else if (c ~ /["']/ && last ~ /^[,:[{]?$/) mark = c
        else if (index("[{", c)) depth++
        else if (index("]}", c)) depth--
        if (c !~ /[ \t]/) last = c
    }
    return mark != "" || depth > 0
}

function flush() {
    if (!waiting) return
    waiting = 0
    if (value ~ /^["'[{]/) { text = value; at = 1; flow(held) }
    else { sub(/[ \t]+#.*$/, "", value); print held "=" value }
}

function hold(path, v) { held = path; value = v; waiting = 1 }

function push(kind, indent, base) { top++; kinds[top] = kind; indents[top] = indent; bases[top] = base; counts[top] = -1 }

function item(indent, s, base,    rest, key, path) {
    if (s ~ /^-([ \t]|$)/) {
        while (top && (indents[top] > indent)) top--
        if (!top || indents[top] < indent || kinds[top] != "list") push("list", indent, base)
        path = joined(bases[top], ++counts[top])
        rest = s; sub(/^-[ \t]*/, "", rest)
        if (rest == "" || rest ~ /^#/) { parent = path; return }
        item(indent + length(s) - length(rest), rest, path)
        return
    }
    if (match(s, /^("[^"]*"|'[^']*'|[^][{}"',#&*!|>%@`: \t][^:]*(:[^ \t:][^:]*)*):([ \t]|$)/)) {
        while (top && (indents[top] > indent || (indents[top] == indent && kinds[top] == "list"))) top--
        if (!top || indents[top] < indent) push("map", indent, base)
        key = substr(s, 1, RLENGTH); sub(/[ \t]*:[ \t]*$/, "", key); gsub(/^["']|["']$/, "", key)
        rest = stripped(substr(s, RLENGTH + 1)); path = joined(bases[top], key)
        if (rest == "" || rest ~ /^#/) parent = path
        else { hold(path, rest); owner = indent }
        return
    }
    hold(base, s); owner = indent - 1
}

{ sub(/\r$/, "") }
waiting && value ~ /^["'[{]/ && open(value) {
    if (value ~ /^".*\\$/) value = substr(value, 1, length(value) - 1) stripped($0)
    else value = value " " stripped($0)
    next
}
/^[ \t]*(#.*)?$/ || /^---/ { next }
{
    match($0, /^ */); indent = RLENGTH; line = stripped($0)
    if (waiting && indent > owner && value !~ /^["'[{]/ && line !~ /^- / && line !~ /^[^ ]+:( |$)/) {
        value = value " " line
        next
    }
    flush()
    base = parent; if (line !~ /^-([ \t]|$)/ && top && indents[top] >= indent) base = ""
    item(indent, line, base)
}
END { flush() }
