"""Shares mailboxes as mail programs do, with Python's imaplib.

Arguments: port, who shares, with whom, the password of both, which part to play.
"""
import imaplib
import sys

port, owner, guest, password, part = sys.argv[1:]


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def no(answer, code):
    kind, data = answer
    assert kind == "NO" and code in data[0], answer


def log_in(user):
    imap = imaplib.IMAP4("127.0.0.1", int(port))
    ok(imap.login(user, password))
    imap._get_capabilities()
    return imap


WORK = f'"Other Users/{owner}/Work"'
bob = log_in(guest)
assert "ACL" in bob.capabilities and "RIGHTS=TEXK" in bob.capabilities, bob.capabilities

if part == "share":
    alice = log_in(owner)
    ok(alice.create("Work"))
    ok(alice.append("Work", None, None, b"Subject: plan\r\n\r\nfor May\r\n"))
    no(bob.select(WORK), b"NONEXISTENT")
    assert ok(bob.list('""', '"Other Users/*"')) == [None]
    ok(alice.setacl("Work", guest, "lrswit"))
    ok(alice.setacl("Work", "-" + guest, "a"))
    acl = ok(alice.getacl("Work"))[0].decode()
    assert acl == f'Work {owner} "lrswipkxteacd" {guest} "lrswitd" -{guest} "a"', acl
    no(alice.setacl("Work", "anyone", "lr"), b"NOPERM")
    assert ok(bob.namespace())[0] == b'(("" "/")) (("Other Users/" "/")) NIL'
    assert ok(bob.myrights(WORK))[0].decode() == f'{WORK} "lrswitd"'
    no(bob.getacl(WORK), b"NOPERM")
    listed = [line.decode() for line in ok(bob.list('""', '"Other Users/*"'))]
    assert any(line.endswith(WORK) and "Noselect" not in line for line in listed), listed
    ok(bob.subscribe(WORK))
    assert ok(bob.lsub('""', '"Other*"'))[0].decode().endswith(WORK)
    assert ok(bob.select(WORK)) == [b"1"]
    assert b"for May" in ok(bob.fetch("1", "(RFC822)"))[0][1]
    ok(bob.store("1", "+FLAGS", r"(\Flagged)"))
    ok(bob.append(WORK, r"(\Seen \Deleted)", None, b"Subject: June\r\n\r\nx\r\n"))
    ok(bob.copy("1", "INBOX"))
    no(bob.expunge(), b"NOPERM")
    ok(bob.close())
    # What they do there, the owner sees.
    assert ok(alice.select("Work")) == [b"2"]
    flags = ok(alice.fetch("1:2", "(FLAGS)"))
    assert b"\\Flagged \\Seen" in flags[0] or b"\\Seen \\Flagged" in flags[0], flags
    assert b"\\Deleted" in flags[1], flags
elif part == "kept":
    assert ok(bob.myrights(WORK))[0].decode() == f'{WORK} "lrswitd"'
    assert ok(bob.select(WORK)) == [b"2"]
elif part == "read-only":
    assert ok(bob.select(WORK)) == [b"2"]
    no(bob.store("1", "+FLAGS", r"(\Answered)"), b"NOPERM")
    no(bob.append(WORK, None, None, b"x"), b"NOPERM")
    no(bob.delete(WORK), b"NOPERM")
elif part == "ended":
    for answer in (bob.select(WORK), bob.status(WORK, "(MESSAGES)"), bob.getacl(WORK), bob.myrights(WORK)):
        no(answer, b"NONEXISTENT")
    assert ok(bob.list('""', '"Other Users/*"')) == [None]
else:
    namespaces = ok(bob.namespace())[0]
    assert namespaces == b'(("" "/")) (("Other Users/" "/")) (("Shared/" "/"))', namespaces
    assert ok(bob.list('""', '"Shared/*"'))[0].endswith(b"Shared/INBOX")
    assert ok(bob.select("Shared/INBOX", readonly=True)) == [b"0"]
    no(bob.append("Shared/INBOX", None, None, b"x"), b"NOPERM")
    no(bob.append(f'"Other Users/{owner}/None"', None, None, b"x"), b"NONEXISTENT")

print("ok")
