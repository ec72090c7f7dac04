"""The example of the README finds what it names, with its buckets on the server of the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import s3fs

from nrsdark_xr import cli
from tests.s3.conftest import make_bucket
from tests.s3.test_inputs import PUBLIC

README = (Path(__file__).parents[2] / "README.md").read_text()
(EXAMPLE,) = re.findall(r"^```yaml\n([^`]*^storage:[^`]*)^```$", README, flags=re.MULTILINE)


def test_the_example_of_the_readme(s3, raw_set, tmp_path, capsys):
    public, mine = make_bucket(), make_bucket()
    files = s3fs.S3FileSystem()
    name = public.removeprefix("s3://")
    policy = json.dumps(PUBLIC).replace("{0}", name)
    files.call_s3("put_bucket_policy", Bucket=name, Policy=policy)
    for path in raw_set.raw:
        files.put_file(str(path), f"{public}/darks/{path.name}")
    for path in (raw_set.folder / "references").iterdir():
        files.put_file(str(path), f"{mine}/refs/{path.name}")

    text = EXAMPLE.replace("s3://my-bucket", mine).replace("public-archive", name)
    text = text.replace("https://s3.example.org", s3.environment["AWS_ENDPOINT_URL"])
    run_file = tmp_path / "run.yaml"
    run_file.write_text(text)
    with pytest.raises(SystemExit) as end:
        cli.main(["plan", str(run_file), "--json", "--workers", "1"])
    assert end.value.code in (None, 0)
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["steps"]) == 5
