"""Writes a report as a foreign mail system may: argv is its form, the Message-ID reported on, and the recipient."""
import sys
from email import policy
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

form, message_id, recipient = sys.argv[1:4]
WHY = f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown"


def fields(**named):
    block = Message()
    for name, value in named.items():
        block[name.replace("_", "-")] = value
    return block


if form == "dsn":
    report = MIMEMultipart("report", report_type="delivery-status")
    report.attach(MIMEText(f"Your message could not be delivered to {recipient}.\n"))
    status = MIMEBase("message", "delivery-status")
    status.set_payload([
        fields(Reporting_MTA="dns; mx.far.test"),
        fields(Final_Recipient=f"rfc822; {recipient}", Action="failed", Status="5.1.1", Diagnostic_Code=f"smtp; {WHY}"),
    ])
    report.attach(status)
    headers = MIMEBase("text", "rfc822-headers")
    headers.set_payload(f"Subject: hello\nMessage-ID: <{message_id}>\n")
    report.attach(headers)
else:
    report = MIMEText(
        "Hi. This is the qmail-send program at far.test.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n\n"
        f"<{recipient}>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\n"
        f"Message-ID: <{message_id}>\nSubject: hello\n\nhello\n"
    )
report["From"] = "MAILER-DAEMON@mx.far.test"
report["Subject"] = "failure notice"
sys.stdout.buffer.write(report.as_bytes(policy=policy.SMTP))
