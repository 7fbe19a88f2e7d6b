from pathlib import Path

from cli.demo.alerts import logged_alerts


def test_alerts_are_found_among_other_lines(tmp_path: Path) -> None:
    (tmp_path / "aggregator-1.log").write_text(
        '{"event":"worker.started"}\n'
        "Traceback with budget.alert in it\n"
        '{"event":"other","alert":"budget.alert is mentioned"}\n'
        '{"event":"budget.alert","alert":"half is spent"}\n'
    )
    (tmp_path / "aggregator-2.log").write_text('{"alert":"all is spent","event":"budget.alert"}\n')
    (tmp_path / "api-1.log").write_text('{"event":"budget.alert","alert":"not an aggregator"}\n')
    assert logged_alerts(tmp_path) == ["half is spent", "all is spent"]


def test_no_log_has_no_alerts(tmp_path: Path) -> None:
    assert logged_alerts(tmp_path) == []
