"""Requests made up from OpenAPI documents: that of the contract, and the server's own where it serves one."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Broken,
    Inapplicable,
    Missing,
    Trace,
    cases,
    findings,
    findings_told,
    fuzz_contract,
    fuzz_own_document,
    has,
    operation_table,
    requirement,
    scenario,
    some,
)

OPERATIONS = {each.name: each for each in operation_table().fuzzed}


@scenario(explores=True)
async def fuzzed_contract(api: Api) -> None:
    """Every operation of the contract, for its share of the time."""
    await fuzz_contract(api)


@scenario(explores=True, needs=["openapi"])
async def fuzzed_own_document(api: Api) -> None:
    """Every operation of the server's own document, for its share of the time."""
    await fuzz_own_document(api)


@requirement("ROB-001")
@cases("name", OPERATIONS)
def test_no_request_of_the_contract_breaks_the_server(name: str, fuzzed_contract: Trace) -> None:
    operation = OPERATIONS[name]
    for capability in operation.needs:
        if not has(capability):
            raise Inapplicable(f"the target has no {capability}")
    asked = some(fuzzed_contract.find(name), f"request to {name}")
    found = findings(asked, empty=operation.empty or operation.stream)
    if found:
        raise Broken(findings_told(found, len(asked)), [each.exchange for each in found])


@requirement("ROB-005")
def test_no_request_of_its_own_document_breaks_the_server(fuzzed_own_document: Trace) -> None:
    operations = some(fuzzed_own_document.note("operations"), "operation in the server's document")
    asked = {name: fuzzed_own_document.find(name) for name in operations}
    if not any(asked.values()):
        raise Missing("no operation of the server's document was tried")
    broken = [(name, findings(exchanges, empty=True)) for name, exchanges in asked.items()]
    reasons = [f"{name}: {findings_told(found, len(asked[name]))}" for name, found in broken if found]
    if reasons:
        raise Broken("; ".join(reasons), [each.exchange for _, found in broken for each in found])
