"""A Moodle that rates competencies and passes messages on: a server with state that answers as Moodle 5.1 was recorded."""

import json
import time
from collections import Counter
from collections.abc import Callable
from html import escape
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from tests.http_server import Answer, HttpServer

TOKEN = "a token of Moodle"
OWN = 2  # the id of the token's user
LEVELS = ("Beginner", "Intermediate", "Advanced", "Master")
Fault = Callable[[str], str | None]


class Moodle:
    """Users by their user names, one framework; ratings, their evidence and messages as they come.

    `fault(function)` says how a call fails: "before" (500 and nothing done), "after" (done, then hung up), "slow" (done, and
    no answer for a while), "busy" (429), None (not at all).
    """

    def __init__(
        self, competencies: list[str], scale: tuple[str, ...] = LEVELS, functions: set[str] | None = None
    ) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.competencies = dict(enumerate(competencies, start=1))
        self.scales = {5: scale}
        self.frameworks = [self._framework(1, "genai", 5)]
        self.grades: dict[tuple[int, int, int], int] = {}  # (user, competency, course or 0) → grade
        self.evidence: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.fault: Fault = lambda function: None
        self.slow_seconds = 1.0
        self._functions = functions
        self._lock = Lock()
        self._server = HttpServer(self._answer)
        self.url, self.close = self._server.url, self._server.close

    def enrol(self, username: str, **fields: Any) -> int:
        """A new user; the id."""
        number = 10 + len(self.users)
        self.users[username] = {
            "id": number, "username": username, "fullname": username, "email": f"{username}@example.org", "idnumber": "",
            "lang": "en", "suspended": False, **fields,
        }  # fmt: skip
        return number

    def rated(self, username: str, competency: str, course: int = 0) -> str | None:
        """The name of the level that a user is rated at."""
        number = next(key for key, name in self.competencies.items() if name == competency)
        grade = self.grades.get((self.users[username]["id"], number, course))
        return grade and self.scales[5][grade - 1]

    def written_to(self, username: str) -> list[str]:
        return [one["text"] for one in self.messages if one["useridto"] == self.users[username]["id"]]

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        assert path == "/webservice/rest/server.php"
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        function = form.pop("wsfunction")
        assert form.pop("moodlewsrestformat") == "json"
        with self._lock:
            self.calls[function] += 1
            fault = self.fault(function)
            if fault == "before":
                return 500, {}, b"<html>Error</html>"
            if fault == "busy":
                return 429, {"Retry-After": "0"}, b""
            if form.pop("wstoken") != TOKEN:
                told = _error("core\\exception\\moodle_exception", "invalidtoken", "Invalid token - token not found")
            else:
                told = self._call(function, form)
        if fault == "slow":
            time.sleep(self.slow_seconds)
        return None if fault == "after" else (200, {}, json.dumps(told).encode())

    def _call(self, function: str, form: dict[str, str]) -> Any:
        known = getattr(self, f"_{function}", None)
        if known is None or (self._functions is not None and function not in self._functions):
            return _error("dml_missing_record_exception", "invalidrecordunknown", "Can't find data record in database.")
        return known(form)

    def _core_webservice_get_site_info(self, form: dict[str, str]) -> Any:
        return {"userid": OWN, "siteurl": self.url, "functions": []}

    def _core_user_get_users_by_field(self, form: dict[str, str]) -> Any:
        wanted = [value for key, value in form.items() if key.startswith("values")]
        if form["field"] == "username" and any(value != value.lower() for value in wanted):
            return _error("core\\exception\\invalid_parameter_exception", "invalidparameter", "Invalid parameter value detected")  # fmt: skip
        found = [user for user in self.users.values() if str(user[form["field"]]) in wanted]
        return [{key: value for key, value in user.items() if key != "idnumber" or value} for user in found]

    def _core_competency_list_competency_frameworks(self, form: dict[str, str]) -> Any:
        assert form["context[contextlevel]"] == "system"
        return self.frameworks

    def _framework(self, number: int, idnumber: str, scale: int) -> dict[str, Any]:
        values = [{"scaleid": str(scale)}, *({"id": place, "scaledefault": int(place == 1), "proficient": int(place > 1)} for place in range(1, len(self.scales[scale]) + 1))]  # fmt: skip
        return {"id": number, "shortname": idnumber, "idnumber": idnumber, "scaleid": scale,
                "scaleconfiguration": json.dumps(values), "contextid": 1, "visible": True}  # fmt: skip

    def _core_competency_create_competency_framework(self, form: dict[str, str]) -> Any:
        given = {key[len("competencyframework[") : -1]: value for key, value in form.items()}
        assert json.loads(given["scaleconfiguration"])[0]["scaleid"] == given["scaleid"]
        if any(one["idnumber"] == given["idnumber"] for one in self.frameworks):
            return _error("core\\invalid_persistent_exception", "invalidpersistenterror", "Error: the ID number is already in use")  # fmt: skip
        made = self._framework(len(self.frameworks) + 1, given["idnumber"], int(given["scaleid"]))
        self.frameworks.append({**made, "shortname": given["shortname"]})
        self.competencies = {}
        return made

    def _core_competency_create_competency(self, form: dict[str, str]) -> Any:
        given = {key[len("competency[") : -1]: value for key, value in form.items()}
        assert int(given["competencyframeworkid"]) == self.frameworks[-1]["id"]
        assert int(given["parentid"]) == 0 or int(given["parentid"]) in self.competencies
        if given["idnumber"] in self.competencies.values():
            return _error(
                "core\\invalid_persistent_exception", "invalidpersistenterror", "Error: the ID number is already in use"
            )
        self.competencies[len(self.competencies) + 1] = given["idnumber"]
        return {"id": len(self.competencies), **given}

    def _core_competency_list_competencies(self, form: dict[str, str]) -> Any:
        newest = self.frameworks[-1]["id"]
        if int(form["filters[0][value]"]) != newest:
            return []
        return [
            {"id": number, "shortname": name, "idnumber": name, "scaleid": None, "scaleconfiguration": None, "competencyframeworkid": newest}
            for number, name in self.competencies.items()
        ]  # fmt: skip

    def _core_competency_get_scale_values(self, form: dict[str, str]) -> Any:
        if int(form["scaleid"]) not in self.scales:
            return _error("dml_missing_record_exception", "invalidrecord", "Can't find data record in database table scale.")  # fmt: skip
        return [{"id": place, "name": name} for place, name in enumerate(self.scales[int(form["scaleid"])], start=1)]

    def _core_competency_grade_competency(self, form: dict[str, str], course: int = 0) -> Any:
        return self.rate(
            int(form["userid"]), int(form["competencyid"]), int(form["grade"]), form.get("note", ""), course
        )

    def _core_competency_grade_competency_in_course(self, form: dict[str, str]) -> Any:
        return self._core_competency_grade_competency(form, int(form["courseid"]))

    def rate(self, user: int, competency: int, grade: int, note: str = "", course: int = 0, by: int = OWN) -> Any:
        """A rating by hand; each adds a row of evidence."""
        wrong = {
            "Invalid rating": not 1 <= grade <= len(self.scales[5]),
            "Invalid user ID": user not in {one["id"] for one in self.users.values()},
            f"{competency} competency can not be found": competency not in self.competencies,
        }
        for message, is_so in wrong.items():
            if is_so:
                return _error("core\\invalid_persistent_exception", "invalidpersistenterror", f"Error: {message}")
        self.grades[user, competency, course] = grade
        row = {"id": len(self.evidence) + 1, "userid": user, "competencyid": competency, "courseid": course, "action": 3,
               "actionuserid": by, "grade": grade, "note": note, "timecreated": int(time.time())}  # fmt: skip
        self.evidence.append(row)
        return {**row, "gradename": self.scales[5][grade - 1]}

    def _tool_lp_data_for_user_competency_summary(self, form: dict[str, str], course: int = 0) -> Any:
        user, competency = int(form["userid"]), int(form["competencyid"])
        grade = self.grades.get((user, competency, course))
        rows = [one for one in self.evidence if (one["userid"], one["competencyid"]) == (user, competency)]
        rating = {"userid": user, "competencyid": competency, "grade": grade}
        return {
            ("usercompetencycourse" if course else "usercompetency"): rating, "evidence": list(reversed(rows)),
            "competency": {}, "user": {},
        }  # fmt: skip

    def _tool_lp_data_for_user_competency_summary_in_course(self, form: dict[str, str]) -> Any:
        return {"usercompetencysummary": self._tool_lp_data_for_user_competency_summary(form, int(form["courseid"]))}

    def _core_message_send_instant_messages(self, form: dict[str, str]) -> Any:
        assert form["messages[0][textformat]"] == "1"
        to = int(form["messages[0][touserid]"])
        one = {"id": len(self.messages) + 1, "useridfrom": OWN, "useridto": to, "text": form["messages[0][text]"]}
        self.messages.append(one)
        return [{"msgid": one["id"], "text": one["text"], "useridfrom": OWN}]

    def _core_message_get_messages(self, form: dict[str, str]) -> Any:
        assert form["useridfrom"] == str(OWN)
        mine = [one for one in self.messages if one["useridto"] == int(form["useridto"])]
        shown = [{**one, "text": f'<div class="text_to_html">{one["text"]}</div>'} for one in reversed(mine)]
        return {"messages": shown[: int(form["limitnum"])], "warnings": []}


def _error(exception: str, code: str, message: str) -> dict[str, str]:
    return {"exception": exception, "errorcode": code, "message": escape(message, quote=False)}
