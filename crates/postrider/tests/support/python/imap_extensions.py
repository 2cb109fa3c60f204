"""Uses extensions of IMAP through Python's imaplib, which knows none of them by itself.

Arguments: port, user, password.
"""
import imaplib
import sys

port, user, password = sys.argv[1:]


def connected():
    imap = imaplib.IMAP4("127.0.0.1", int(port))
    ok(imap.login(user, password))
    imap._get_capabilities()
    return imap


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def command(imap, name, *arguments, literal=None):
    """Any command, in any state."""
    imaplib.Commands[name] = ("AUTH", "SELECTED")
    imap.literal = literal
    return imap._simple_command(name, *arguments)


def heard(imap, name):
    """Untagged responses of that name since the last time."""
    return [line for line in imap.response(name)[1] if line is not None]


def drafts_are_replaced(imap):
    assert "REPLACE" in imap.capabilities, imap.capabilities
    ok(imap.append("Drafts", r"(\Draft)", None, b"Subject: first\r\n\r\n1\r\n"))
    ok(imap.select("Drafts"))
    for version in (b"second", b"third"):
        draft = b"Subject: " + version + b"\r\n\r\n2\r\n"
        ok(command(imap, "REPLACE", "*", "Drafts", r"(\Draft)", literal=draft))
        assert heard(imap, "APPENDUID"), "the new UID is told"
        assert heard(imap, "EXPUNGE") == [b"1"]
    assert ok(imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])"))[0][1].startswith(b"Subject: third\r\n")
    assert ok(imap.status("Drafts", "(MESSAGES UIDNEXT)"))[0].endswith(b"(MESSAGES 1 UIDNEXT 4)")
    assert command(imap, "REPLACE", "*", "nowhere", literal=b"x")[0] == "NO"
    ok(imap.close())


def a_deleted_mailbox_ends_the_session_that_has_it_open(imap):
    other = connected()
    ok(other.create("shortlived"))
    ok(other.select("shortlived"))
    ok(imap.delete("shortlived"))
    ok(other.noop())
    try:
        other.noop()
        raise AssertionError("the session goes on")
    except imaplib.IMAP4.abort as error:
        assert "the mailbox was deleted" in str(error), error


def annotations_stay_with_their_mailbox(imap):
    assert "METADATA" in imap.capabilities and "LIST-METADATA" in imap.capabilities, imap.capabilities
    ok(imap.create("colored"))
    ok(command(imap, "SETMETADATA", "colored", '(/private/vendor/test/color "red")'))
    ok(imap.rename("colored", "painted"))
    # imaplib takes a name and a literal for one response.
    ok(command(imap, "GETMETADATA", "painted", "(/private/vendor/test/color)"))
    (told, value), _ = heard(imap, "METADATA")
    assert told.startswith(b"painted (/private/vendor/test/color ") and value == b"red", (told, value)
    ok(imap.delete("painted"))


def what_happens_elsewhere_is_told_unasked(imap):
    assert "NOTIFY" in imap.capabilities, imap.capabilities
    waiting = connected()
    ok(waiting.select("INBOX"))
    selected = "(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))"
    ok(command(waiting, "NOTIFY", "SET", selected, "(personal (MessageNew MessageExpunge MailboxName))"))
    ok(imap.create("announced"))
    assert waiting.readline() == b'* LIST (\\Subscribed) "/" announced\r\n'
    ok(imap.append("announced", None, None, b"Subject: elsewhere\r\n\r\n"))
    line = waiting.readline()
    assert line.startswith(b"* STATUS announced (MESSAGES 1 UIDNEXT 2 "), line
    ok(imap.append("INBOX", None, None, b"Subject: here\r\n\r\n"))
    assert waiting.readline() == b"* 1 EXISTS\r\n"
    line = waiting.readline()
    assert line.startswith(b"* 1 FETCH (UID ") and line.endswith(b"{17}\r\n"), line
    assert waiting.read(17) + waiting.readline() == b"Subject: here\r\n\r\n)\r\n"
    ok(imap.select("INBOX"))
    ok(imap.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(imap.expunge())
    assert waiting.readline() == b"* 1 EXPUNGE\r\n"
    ok(waiting.noop())
    assert waiting.logout()[0] == "BYE"
    ok(imap.close())


imap = connected()
annotations_stay_with_their_mailbox(imap)
what_happens_elsewhere_is_told_unasked(imap)
drafts_are_replaced(imap)
a_deleted_mailbox_ends_the_session_that_has_it_open(imap)
assert imap.logout()[0] == "BYE"
