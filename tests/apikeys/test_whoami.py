def test_a_key_learns_what_it_may_do(issue_key, api):
    key, secret = issue_key("viewer", ["*:*"])
    answer = api(secret).get("/api/v1/key")
    assert answer.status_code == 200, answer.content
    assert answer.json()["id"] == key.key_id
    assert answer.json()["scopes"] == ["*:*"]
    assert answer["Cache-Control"] == "no-store"
