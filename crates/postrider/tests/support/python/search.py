"""Appends messages, or searches them in many ways and prints what was found."""
import base64
import imaplib
import quopri
import sys

port, user, password, step, count = sys.argv[1:]
session = imaplib.IMAP4("127.0.0.1", int(port))
session.login(user, password)
session._encoding = "utf-8"


def message(number):
    text = f"Usual words, and unusual{number}. Stra\u00dfe {number % 7} \u65e5\u672c\u8a9e\r\n" + "filler of the text " * 40
    encoding, charset = ("7bit", "quoted-printable", "base64", "8bit")[number % 4], ("utf-8", "iso-8859-1")[number % 8 == 3]
    octets = text.encode(charset, "ignore")
    if encoding == "quoted-printable":
        octets = quopri.encodestring(octets).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    header = (
        f"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= {number}\r\nFrom: ann{number % 5}@client.test\r\n"
        f"Message-ID: <{number}@client.test>\r\nContent-Type: text/plain; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return header.encode() + octets


if step == "append":
    for number in range(int(count)):
        answer = session.append("INBOX", None, None, message(number))
        assert answer[0] == "OK", answer
else:
    session.select("INBOX", readonly=True)
    for keys in [
        ("BODY", "unusual7."), ("BODY", "unusual59"), ("BODY", "UNUSUAL3"), ("BODY", "usual words"), ("BODY", "nowhere"),
        ("TEXT", "ann3"), ("HEADER Message-ID", "<17@client.test>"), ("SUBJECT", "GR\u00dcSSE 41"), ("SUBJECT", "gr\u00fc\u00dfe 41"),
        ("BODY", "stra\u00dfe 3"), ("BODY", "\u672c"), ("BODY", "\u65e5\u672c\u8a9e"), ("BODY", ". s"), ("BODY", "..."), ("FROM", "ann4"),
        ("NOT BODY", "filler"), ("OR FROM ann1 BODY", "unusual12"), ("UID 10:300 BODY", "unusual1"),
    ]:
        session.literal = keys[1].encode()
        answer = session.uid("SEARCH", "CHARSET", "UTF-8", *keys[0].split())
        assert answer[0] == "OK", answer
        found = (answer[1][0] or b"").decode()
        print(f"{' '.join(keys)}: {found} ")
session.logout()
