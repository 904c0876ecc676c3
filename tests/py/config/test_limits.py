"""Limits in a configuration: what is taken, and how every mistake is told."""

import pytest

from fastgw.config.limits import Key, Rate, parse_key, parse_rate
from fastgw.config.load import load, loads
from fastgw.control.slots import SlotTable
from fastgw.errors import ConfigErrors
from fastgw.snapshot.compile import compile

HEAD = 'listeners: {web: {bind: "127.0.0.1:8080"}}\nroutes:\n'


def route(step: str, match: str = "{prefix: /a}", name: str = "a") -> str:
    return f"  {name}: {{match: {match}, chain: [{step}], to: {{static: {{}}}}}}\n"


def problems(*routes: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        loads(HEAD + "".join(routes))
    return [(problem.code, problem.path) for problem in caught.value.problems]


def test_rates_and_keys():
    assert [parse_rate(text) for text in ("100/s", "5000/m", "10/h", "1/d")] == [
        Rate(100, 1), Rate(5000, 60), Rate(10, 3600), Rate(1, 86_400),
    ]  # fmt: skip
    assert [parse_key(text) for text in ("client_ip", "header:X-A", "path:id")] == [
        Key("client_ip", ""), Key("header", "X-A"), Key("path", "id"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "code", "at"),
    [
        ("{rate_limit: {rate: 100}}", "FGW1103", "rate_limit.rate"),
        ("{rate_limit: {rate: 100/sec}}", "FGW1106", "rate_limit.rate"),
        ("{rate_limit: {rate: 0/s}}", "FGW1106", "rate_limit.rate"),
        ("{rate_limit: {rate: 20000000/s}}", "FGW1105", "rate_limit.rate"),
        ("{rate_limit: {rate: 1/s, burst: 0}}", "FGW1105", "rate_limit.burst"),
        ("{rate_limit: {rate: 10/h, burst: 100000}}", "FGW1212", "rate_limit.burst"),
        ("{rate_limit: {rate: 1/s, burst: 2, cost: 3}}", "FGW1212", "rate_limit.cost"),
        ("{rate_limit: {rate: 1/s, cost: 0}}", "FGW1105", "rate_limit.cost"),
        ("{rate_limit: {rate: 1/s, cost: 'query:x'}}", "FGW1214", "rate_limit.cost"),
        ("{rate_limit: {rate: 1/s, by: ip}}", "FGW1214", "rate_limit.by"),
        ("{rate_limit: {rate: 1/s, by: 'header:'}}", "FGW1214", "rate_limit.by"),
        ("{rate_limit: {rate: 1/s, by: 'header:a b'}}", "FGW1208", "rate_limit.by"),
        ("{rate_limit: {rate: 1/s, by: 'path:id'}}", "FGW1214", "rate_limit.by"),
        ("{rate_limit: {rate: 1/s, name: a b}}", "FGW1108", "rate_limit.name"),
        ("{rate_limit: {rate: 1/s, table: {size: 1KiB}}}", "FGW1105", "rate_limit.table.size"),
        ("{rate_limit: {burst: 1}}", "FGW1102", "rate_limit"),
        ("{concurrency: {max: 0}}", "FGW1105", "concurrency.max"),
        ("{concurrency: {max: 1, by: 'path:id'}}", "FGW1214", "concurrency.by"),
        ("{concurrency: {max: 1, queue: {size: -1}}}", "FGW1105", "concurrency.queue.size"),
        (f"{{concurrency: {{max: 1, by: [{', '.join(['route'] * 9)}]}}}}", "FGW1105", "concurrency.by"),
    ],
)
def test_every_mistake_is_told_at_its_place(step: str, code: str, at: str) -> None:
    assert problems(route(step)) == [(code, f"routes.a.chain[0].{at}")]


def test_limits_of_one_name_are_one_limit():
    one, other = "{rate_limit: {rate: 1/s, name: x}}", "{rate_limit: {rate: 2/s, name: x}}"
    assert problems(route(one), route(other, "{prefix: /b}", "b")) == [("FGW1212", "routes.b")]
    assert problems(route(one), route("{concurrency: {max: 1, name: x}}", "{prefix: /b}", "b")) == [("FGW1212", "routes.b")]  # noqa: E501
    loads(HEAD + route(one) + route(one, "{prefix: /b}", "b"))


class Memory:
    heap, size = 1 << 20, 1 << 30


def test_the_example_compiles_and_tables_stay_with_their_names():
    config = load("examples/rate-limit.yaml").config
    slots = SlotTable.of(Memory())
    first = compile(config, 1, slots)
    again = SlotTable.from_state(slots.state())
    assert compile(config, 1, again) == first
    names = ("api#1", "api#2", "search", "trial#1", "reports#1", "reports#2")
    assert {each.name for each in again.identities() if each.kind == "limit"} == set(names)
    wanted = (("api#1", 4 << 20), ("api#2", 4 << 20), ("api#1", 8 << 20))
    tables = {again.bucket_table(name, size) for name, size in wanted}
    assert len(tables) == 3 and all(table % 4096 == 0 for table in tables)
