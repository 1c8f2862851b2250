"""`foresail plan` on a set-up whose controller has never run."""

import json

from foresail.cli.main import main


def test_a_fresh_set_up_has_learned_nothing_yet(tmp_path, capsys):
    assert main(["init", str(tmp_path)], environ={}) == 0
    capsys.readouterr()
    asked = ["plan", "--settings", str(tmp_path / "foresail.yaml")]
    assert main(asked, environ={}) == 0
    assert capsys.readouterr().out.startswith("nothing learned yet: no controller has looked")
    assert main([*asked, "--json"], environ={}) == 0
    assert json.loads(capsys.readouterr().out) == {"age_seconds": None, "decisions": []}
