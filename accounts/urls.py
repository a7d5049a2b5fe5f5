from django.urls import path

from accounts.views import health, preferences, second_factor, sign_in

app_name = "accounts"

urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-in/code/", sign_in.sign_in_code, name="sign-in-code"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("me/second-factor/", second_factor.second_factor_page, name="second-factor"),
    path("me/second-factor/replace/", second_factor.replace_app, name="second-factor-replace"),
    path("me/recovery-codes/", second_factor.recovery_codes, name="recovery-codes"),
    path("me/theme/", preferences.theme, name="theme"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
