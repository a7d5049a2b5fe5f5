from django.urls import path

from accounts.views import (
    health,
    invitations,
    members,
    notices,
    passkeys,
    passwords,
    preferences,
    second_factor,
    sessions,
    sign_in,
)

app_name = "accounts"

MEMBERS = "a/<slug:slug>/access/members/"

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-in/code/", sign_in.sign_in_code, name="sign-in-code"),
    path("sign-in/lost-device/", sign_in.lost_device, name="lost-device"),
    path("sign-in/forgotten-password/", passwords.forgotten_password, name="forgotten-password"),
    path("sign-in/new-password/<uidb64>/<token>/", passwords.ResetLinkView.as_view(), name="password-reset-link"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("me/second-factor/", second_factor.second_factor_page, name="second-factor"),
    path("me/second-factor/replace/", second_factor.replace_app, name="second-factor-replace"),
    path("me/second-factor/cancel/", second_factor.cancel_enrolment, name="second-factor-cancel"),
    path("me/second-factor/remove/", second_factor.remove_app, name="second-factor-remove"),
    path("me/password/", passwords.change_password, name="password"),
    path("me/sessions/", sessions.session_list, name="sessions"),
    path("me/sessions/end-others/", sessions.end_other_sessions, name="sessions-end-others"),
    path("me/sessions/<uuid:session_id>/end/", sessions.end_session, name="session-end"),
    path("me/passkeys/", passkeys.passkey_list, name="passkeys"),
    path("me/passkeys/add/", passkeys.add_passkey, name="passkey-add"),
    path("me/passkeys/create/", passkeys.create_passkey, name="passkey-create"),
    path("me/passkeys/create/begin/", passkeys.begin_registration, name="passkey-create-begin"),
    path("me/passkeys/<int:passkey_id>/rename/", passkeys.rename_passkey, name="passkey-rename"),
    path("me/passkeys/<int:passkey_id>/remove/", passkeys.remove_passkey, name="passkey-remove"),
    path("passkey/begin/", passkeys.begin_proof, name="passkey-begin"),
    path("passkey/complete/", passkeys.complete_proof, name="passkey-complete"),
    path("me/recovery-codes/", second_factor.recovery_codes, name="recovery-codes"),
    path("me/", preferences.preferences, name="preferences"),
    path("me/theme/", preferences.theme, name="theme"),
    path("invitations/open/", invitations.invitation_page, name="invitation"),
    path("invitations/<str:token>/", invitations.link, name="invitation-link"),
    path(MEMBERS, members.member_list, name="member-list"),
    path(f"{MEMBERS}invite/", members.invite, name="member-invite"),
    path(f"{MEMBERS}<int:member_id>/edit/", members.edit, name="member-edit"),
    path(f"{MEMBERS}<int:member_id>/remove/", members.remove, name="member-remove"),
    path(f"{MEMBERS}invitations/<uuid:invitation_id>/resend/", members.resend, name="invitation-resend"),
    path(f"{MEMBERS}invitations/<uuid:invitation_id>/cancel/", members.cancel, name="invitation-cancel"),
    path("language/", preferences.language, name="language"),
    path("a/<slug:slug>/settings/notices/", notices.choose, name="notices"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
