"""Every kind of change, by name: `drop-event`, `null-field`, `change-code` and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runstone.proof.mutate import fields, messages, streams
from runstone.proof.mutate.change import Operator

OPERATORS: Final[Mapping[str, Operator]] = {
    operator.__name__.replace("_", "-"): operator
    for operator in (
        streams.drop_event,
        streams.repeat_event,
        streams.swap_events,
        streams.rename_event,
        streams.change_event_id,
        streams.spoil_event,
        streams.delay_event,
        streams.end_stream,
        streams.cut_stream,
        fields.delete_field,
        fields.null_field,
        fields.retype_field,
        fields.swap_fields,
        fields.change_value,
        fields.change_status,
        fields.drop_item,
        fields.repeat_item,
        fields.swap_items,
        messages.change_code,
        messages.drop_header,
        messages.change_header,
        messages.truncate_body,
        messages.empty_body,
        messages.cut_body,
        messages.lose_response,
        messages.delay_response,
        messages.swap_responses,
    )
}
