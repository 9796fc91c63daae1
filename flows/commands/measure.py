"""The commands that ask how good the levels are: evaluate, calibrate."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say, say_rows, tell


def evaluate(
    context: typer.Context,
    answers: Annotated[
        Path | None, typer.Option(help="A Parquet or CSV file of answers instead of the evidence in the warehouse.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Also by group: platform, source, competency, or an attribute of people.")
    ] = None,
    diagram: Annotated[Path | None, typer.Option(help="Write a reliability diagram (SVG) here.")] = None,
    as_json: Json = False,
) -> None:
    """Say how well what came before predicts the next answer: AUC, log loss, calibration error, beside baselines.

    Models are fitted on the first two thirds of the people by id and tested on the rest, one step ahead. A file of answers
    has the columns user_id, order_in_user, skill_id, correct, and item_id and timestamp where they are known.

    Example: proficio evaluate --by platform --diagram reliability.svg
    """
    from flows.evaluate import evaluate as evidence
    from flows.evaluate import evaluate_answers
    from transforms.evaluation import diagram as draw

    done = evaluate_answers(answers, tell) if answers else evidence(load(context), by, tell)
    if diagram:
        from connectors.storage import storage_errors

        with storage_errors(diagram):
            diagram.write_text(draw(done.outcome, done.chances), "utf-8")
    if as_json:
        groups = {"groups": done.groups} if by else {}
        say({"rows": done.rows, "models": done.models, **groups}, True, "")
        return
    columns = {"model": "Model", "auc": "AUC", "log_loss": "Log loss", "ece": "ECE"}
    say_rows([{"model": name, **_rounded(one)} for name, one in done.models.items()], False, columns, "")
    if by:
        groups_shown = {
            "group": by.capitalize(),
            "answers": "Answers",
            "predicted": "Predicted",
            "happened": "Happened",
            **columns,
        }
        groups_shown.pop("model")
        say_rows([{**one, **_rounded(one)} for one in done.groups], False, groups_shown, "")


def calibrate(context: typer.Context, as_json: Json = False) -> None:
    """Fit the estimator to the evidence in the warehouse; keep the result if it predicts held-out people better.

    The next estimate starts anew with it. Versions stand in the data folder under calibrations; the newest is in use.

    Example: proficio calibrate
    """
    from flows.evaluate import calibrate as fit

    told = fit(load(context), tell)
    was = f"log loss {told['log_loss_in_use']:.4f} with {told['in_use']}, {told['log_loss_calibrated']:.4f} calibrated"
    what = f"{told['answers']:,} answers of {told['people']:,} people; {told['held_out_people']:,} held out: {was}. "
    kept = f"Kept as {told['kept']}; the next estimate uses it." if told["kept"] else "Nothing was replaced."
    say(told, as_json, what + kept)


def _rounded(scores: dict[str, float]) -> dict[str, str]:
    return {
        name: f"{scores[name]:.4f}" for name in ("auc", "log_loss", "ece", "predicted", "happened") if name in scores
    }
