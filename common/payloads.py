"""Messages by reference, pure: above 256 KiB a record carries a short reference, and its bytes are kept elsewhere."""

import hashlib
from dataclasses import replace
from typing import Final
from uuid import UUID

from common.ids import derive
from common.kafka.producer import Record
from common.ports import Payload

INLINE_BYTES: Final = 256 * 1024
# No JSON begins like this.
_MARK: Final = b"@payload:"
_LENGTH: Final = len(_MARK) + 36


def by_reference(record: Record) -> tuple[Record, Payload | None]:
    """Return the record to send, and what is to be kept first if it is only a reference."""
    if len(record.value) <= INLINE_BYTES:
        return record, None
    job_id = UUID(record.key.decode())
    payload_id = derive(job_id, f"payload:{hashlib.sha256(record.value).hexdigest()}")
    stub = replace(record, value=_MARK + str(payload_id).encode())
    return stub, Payload(payload_id, job_id, record.value)


def reference_in(value: bytes | None) -> UUID | None:
    """Return which payload a record's value stands for, if it is a reference."""
    if value is None or len(value) != _LENGTH or not value.startswith(_MARK):
        return None
    try:
        return UUID(value[len(_MARK) :].decode())
    except ValueError:
        return None
