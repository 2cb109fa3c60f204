"""Asks a list by SMTP to do something, and replies to its confirmation as a mail program does: SMTP-PORT POP3-PORT USER
PASSWORD ASK-ADDRESS. Prints what the list wrote as JSON."""
import email
import email.policy
import json
import poplib
import smtplib
import sys
import time
from email.message import EmailMessage

smtp_port, pop3_port, user, password, ask = sys.argv[1:]


def send(to, subject, references=None):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = user, to, subject
    if references:
        message["In-Reply-To"] = message["References"] = references
    message.set_content("Thanks.\n")
    with smtplib.SMTP("127.0.0.1", int(smtp_port)) as smtp:
        smtp.send_message(message, user, [to])


def mailbox():
    pop3 = poplib.POP3("127.0.0.1", int(pop3_port))
    pop3.user(user)
    pop3.pass_(password)
    count = pop3.stat()[0]
    octets = [b"\r\n".join(pop3.retr(n)[1]) for n in range(1, count + 1)]
    pop3.quit()
    return [email.message_from_bytes(one, policy=email.policy.default) for one in octets]


def wait_for(count):
    for _ in range(1200):
        found = mailbox()
        if len(found) >= count:
            return found[count - 1]
        time.sleep(0.05)
    raise SystemExit(f"only {len(found)} messages came")


before = len(mailbox())
send(ask, "please")
asked = wait_for(before + 1)
send(asked["From"], "Re: " + asked["Subject"], asked["Message-ID"])
done = wait_for(before + 2)
print(json.dumps([
    {
        "from": str(one["From"]),
        "subject": str(one["Subject"]),
        "auto": str(one["Auto-Submitted"]),
        "return_path": str(one["Return-Path"]),
        "text": one.get_content(),
        "defects": [str(defect) for defect in one.defects],
    }
    for one in (asked, done)
]))
