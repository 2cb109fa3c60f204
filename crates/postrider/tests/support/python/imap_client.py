"""Works with a mailbox through IMAPClient, which asks for more than imaplib does.

Arguments: port, TLS (starttls, implicit), user, password. Standard input: a message, which comes back the same.
"""
import datetime
import ssl
import sys

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

port, tls, user, password = sys.argv[1:]
message = sys.stdin.buffer.read()
trusting = ssl._create_unverified_context()


def session():
    client = IMAPClient("127.0.0.1", int(port), ssl=tls == "implicit", ssl_context=trusting)
    if tls == "starttls":
        client.starttls(trusting)
    client.login(user, password)
    return client


imap = session()
for name in ("NAMESPACE", "QUOTA", "SORT", "THREAD=REFERENCES", "MULTIAPPEND", "SPECIAL-USE", "ENABLE"):
    assert imap.has_capability(name), imap.capabilities()
assert imap.namespace().personal == (("", "/"),), imap.namespace()
assert imap.find_special_folder(b"\\Sent") == "Sent"
assert imap.enable("CONDSTORE") == [b"CONDSTORE"]

folder = "Entwürfe & 草稿"
imap.create_folder(folder)
imap.subscribe_folder(folder)
assert folder in [name for _, _, name in imap.list_folders()], imap.list_folders()
assert folder in [name for _, _, name in imap.list_sub_folders()]
try:
    imap.create_folder(folder)
    raise SystemExit("it was made twice")
except IMAPClientError as error:
    assert "ALREADYEXISTS" in str(error) or "exists" in str(error), error

date = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
answer = imap.append(folder, message, flags=[b"\\Flagged", b"$Work"], msg_time=date)
assert b"APPENDUID" in answer, answer
threads = [
    "Message-ID: <1@client.test>\r\nSubject: b\r\n\r\nthe first\r\n",
    "Message-ID: <2@client.test>\r\nIn-Reply-To: <1@client.test>\r\nSubject: Re: b\r\n\r\nan answer\r\n",
    "Message-ID: <3@client.test>\r\nSubject: a\r\n\r\nprüfen\r\n",
]
imap.multiappend(folder, [text.encode() for text in threads])

chosen = imap.select_folder(folder)
assert chosen[b"EXISTS"] == 4 and chosen[b"UIDNEXT"] == 5 and chosen[b"READ-WRITE"], chosen
fetched = imap.fetch([1], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]", "BODYSTRUCTURE", "MODSEQ"])[1]
assert fetched[b"BODY[]"] == message and fetched[b"RFC822.SIZE"] == len(message)
assert set(fetched[b"FLAGS"]) == {b"\\Flagged", b"$Work"}, fetched[b"FLAGS"]
assert fetched[b"INTERNALDATE"].timestamp() == date.timestamp(), fetched[b"INTERNALDATE"]
assert fetched[b"MODSEQ"][0] > 0 and not fetched[b"BODYSTRUCTURE"].is_multipart
envelopes = imap.fetch("2:4", ["ENVELOPE"])
assert [envelopes[uid][b"ENVELOPE"].subject for uid in (2, 3, 4)] == [b"b", b"Re: b", b"a"]

assert imap.search(["TEXT", "prüfen"], "UTF-8") == [4]
assert imap.search(["NOT", ["FLAGGED", "KEYWORD", "$Work"]]) == [2, 3, 4]
assert imap.sort(["SUBJECT"], ["UID", "2:4"]) == [4, 2, 3]
assert imap.thread(criteria=["UID", "2:4"]) == ((2, 3), (4,)), imap.thread(criteria=["UID", "2:4"])
assert set(imap.add_flags([2, 3], [b"\\Seen"])) == {2, 3}
assert imap.set_flags([1], [b"\\Answered"])[1] == (b"\\Answered",)
assert b"\\Seen" not in imap.remove_flags([3], [b"\\Seen"])[3]
assert imap.folder_status(folder, ["MESSAGES", "UNSEEN", "HIGHESTMODSEQ"])[b"UNSEEN"] == 3

other = session()
imap.idle()
other.append(folder, b"Subject: news\r\n\r\nx\r\n")
heard = []
while (5, b"EXISTS") not in heard:
    heard += imap.idle_check(timeout=60)
imap.idle_done()

imap.move([2], "Archive")
imap.copy([3], "Archive")
imap.delete_messages([3, 4])
imap.uid_expunge([4])
assert imap.search() == [1, 3, 5]
imap.expunge()
assert imap.search() == [1, 5]
other.select_folder("Archive", readonly=True)
assert other.fetch([1, 2], ["BODY.PEEK[TEXT]"])[2][b"BODY[TEXT]"] == b"an answer\r\n"
root, quotas = imap.get_quota_root("INBOX")
assert root.mailbox == "INBOX"
imap.close_folder()
imap.rename_folder(folder, "Fertig")
assert imap.folder_exists("Fertig") and not imap.folder_exists(folder)
imap.delete_folder("Fertig")
other.logout()
imap.logout()
