"""Reads a mailbox with poplib: PORT plain|stls|implicit USER PASSWORD. Each message follows its size and a line end."""
import poplib
import ssl
import sys

port, tls, user, password = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if tls == "implicit":
    pop3 = poplib.POP3_SSL("127.0.0.1", int(port), context=context, timeout=100)
else:
    pop3 = poplib.POP3("127.0.0.1", int(port), timeout=100)
if tls == "stls":
    pop3.stls(context=context)
if not user.isascii():
    pop3.encoding = "utf-8"
    pop3.utf8()
pop3.user(user)
pop3.pass_(password)
count, _ = pop3.stat()
assert len(pop3.list()[1]) == count
assert len({line.split()[1] for line in pop3.uidl()[1]}) == count, "unique-ids are not unique"
for number in range(1, count + 1):
    lines = pop3.retr(number)[1]
    message = b"".join(line + b"\r\n" for line in lines)
    sys.stdout.buffer.write(b"%d\n" % len(message) + message)
pop3.quit()
