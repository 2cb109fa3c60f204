"""Tells as JSON what a mail program sees in the message on standard input."""
import email
import email.policy
import hashlib
import json
import sys


def view(part):
    payload = part.get_payload(decode=True) or b""
    return {
        "type": part.get_content_type(),
        "name": part.get_filename(),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "text": part.get_content() if part.get_content_maintype() == "text" else None,
        "fields": [
            {name.lower(): str(value) for name, value in block.items()}
            for block in (part.get_payload() if part.get_content_type() == "message/delivery-status" else [])
        ],
    }


message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(message.walk())
defects = [str(defect) for part in parts for defect in part.defects]
print(json.dumps({
    "header": {name.lower(): str(value) for name, value in message.items()},
    "report_type": message.get_param("report-type"),
    "parts": [view(part) for part in parts],
    "defects": defects,
}))
