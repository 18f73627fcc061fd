"""Routes of the caller's own rights, and of principals and their tokens."""

from fastapi import Response

from app.access import commands, queries, tokens
from app.access.actor import Caller, RequestContext
from app.access.models import (
    Held,
    Me,
    PrincipalIn,
    PrincipalKey,
    PrincipalOut,
    PrincipalQuery,
    PrincipalReply,
    TokenIn,
    TokenKey,
    TokenOut,
    TokenQuery,
    TokenReply,
)
from app.access.rules import format_principal_subject, list_rights
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer, answer_no_content, answer_page, answer_resource, declare_created
from app.kit.http.routing import FromQuery, make_router

router = make_router(tags=["access"])


@router.get("/me", response_model=Me)
def read_me(call: Caller) -> Response:
    """Return the principal of the token, its roles with the rights that they give, and the expiry."""
    bearer, actor = call.bearer, call.actor
    me = Me(
        principal=actor.principal,
        token=actor.token,
        kind=bearer.kind,
        scopes=sorted(actor.scopes),
        memberships=[
            Held(
                role=g.role,
                region_code=g.region,
                agency_code=g.agency,
                rights=list_rights(g, actor.scopes),
            )
            for g in actor.grants
        ],
        expires_at=bearer.expires_at,
        last_used_at=bearer.last_used_at,
    )
    return answer(call.request, me.model_dump_json().encode())


# Principals


@router.get("/principals", response_model=Page[PrincipalOut])
def list_principals(call: Caller, query: FromQuery[PrincipalQuery]) -> Response:
    """List the services and positions whose home the caller administers, with their memberships.

    Only administrators with a token of scope `administer` see any.
    """
    listing = queries.select_principals(call.actor, query)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/principals/{principal}", response_model=PrincipalReply)
def read_principal(call: Caller, principal: PrincipalKey) -> Response:
    """Return one service or position. 404 unless the caller administers its home."""
    return _principal_reply(call, principal)


@router.put(
    "/principals/{principal}", response_model=PrincipalReply, responses=declare_created(PrincipalReply)
)
def put_principal(call: Caller, principal: PrincipalKey, content: PrincipalIn) -> Response:
    """Create a service or a position, or replace its subject and memberships, which hold from the next request on.

    Enrol a person by the identifier that the issuer of the service's settings has for them (`subject`), under the
    name of the position, never their own. For a successor, PUT another subject. Memberships lie in the home or below
    it. 422 lists each region beyond those that the caller administers; 409 for a name in use elsewhere.
    """
    is_new = commands.put_principal(
        call.write, principal, content, issuer=call.request.app.state.settings.oidc_issuer
    )
    return _principal_reply(call, principal, status=201 if is_new else 200)


@router.delete("/principals/{principal}", status_code=204)
def delete_principal(call: Caller, principal: PrincipalKey) -> Response:
    """Delete a service or a position with its memberships and tokens, which end at once. The history stays."""
    commands.delete_principal(call.write, principal)
    return answer_no_content()


def _principal_reply(call: RequestContext, name: str, *, status: int = 200) -> Response:
    text, region, version = queries.read_principal_text(call.session, call.actor, name)
    allowed = queries.list_allowed_verbs(call.actor, region)
    return answer_resource(
        call.request, text, version, format_principal_subject(name), status=status, allowed=allowed
    )


# Tokens


@router.get("/principals/{principal}/tokens", response_model=Page[TokenOut])
def list_tokens(call: Caller, principal: PrincipalKey, query: FromQuery[TokenQuery]) -> Response:
    """List the service tokens of a principal, also revoked and expired ones: scopes, networks, expiry, last use."""
    owner = queries.find_principal_id(call.session, call.actor, principal)
    body = read_page(call.session, call.request, queries.select_tokens(owner), query, sort=query.sort)
    return answer_page(call.request, body)


@router.get("/principals/{principal}/tokens/{token}", response_model=TokenReply)
def read_token(call: Caller, principal: PrincipalKey, token: TokenKey) -> Response:
    """Return one service token, without its secret."""
    return _token_reply(call, principal, token)


@router.put(
    "/principals/{principal}/tokens/{token}", response_model=TokenReply, responses=declare_created(TokenReply)
)
def put_token(call: Caller, principal: PrincipalKey, token: TokenKey, content: TokenIn) -> Response:
    """Create a service token, or change its limits and its expiry.

    Only the reply that creates it (201) has the `secret`; the service stores a hash. If that reply got lost, revoke
    the token and create another: no repetition returns the secret. `If-None-Match: *` keeps a retry from changing an
    existing token. The caller can give only scopes that its own token has.
    """
    secret = tokens.put_token(call.write, principal, token, content)
    if secret is None:
        return _token_reply(call, principal, token)
    return _token_reply(call, principal, token, secret=None if call.unit.dry_run else secret, status=201)


@router.post("/principals/{principal}/tokens/{token}/revoke", response_model=TokenReply)
def revoke_token(call: Caller, principal: PrincipalKey, token: TokenKey) -> Response:
    """Revoke a token: the next request with it gets 401. Needs no precondition and is idempotent."""
    tokens.revoke_token_of_principal(call.write, principal, token)
    return _token_reply(call, principal, token)


def _token_reply(
    call: RequestContext, principal: str, name: str, *, secret: str | None = None, status: int = 200
) -> Response:
    owner = queries.find_principal_id(call.session, call.actor, principal)
    text, version = queries.read_token_text(call.session, owner, name)
    address, fields = format_principal_subject(principal, name), {"secret": secret} if secret else {}
    response = answer_resource(call.request, text, version, address, status=status, **fields)
    if secret:
        response.headers["Cache-Control"] = "no-store"
    return response
