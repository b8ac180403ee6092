<?php
/**
 * The script and its events through this site's own address.
 *
 * Nothing that a visitor sends decides where a request goes: there is one server, from the settings, and two paths. What
 * goes out is the body, the visitor's address, their browser's name and the page's origin; no cookie of this site does.
 *
 * @package OpsMantik
 */

defined( 'ABSPATH' ) || exit;

define( 'OPSMANTIK_SECONDS', 4 );
define( 'OPSMANTIK_LARGEST_BODY', 65536 ); // The script sends at most 60 kB at once.
define( 'OPSMANTIK_LARGEST_SCRIPT', 65536 );
define( 'OPSMANTIK_RETRY_AFTER', 30 );

/** The three routes; the first two only where the settings say so. */
function opsmantik_register_routes() {
	$settings = opsmantik_settings();
	if ( $settings['proxy'] && '' !== $settings['server'] && '' !== $settings['site'] ) {
		register_rest_route(
			'opsmantik/v1',
			'/core\.js',
			array(
				'methods'             => 'GET',
				'callback'            => 'opsmantik_serve_script',
				'permission_callback' => '__return_true', // It is on every page.
			)
		);
		register_rest_route(
			'opsmantik/v1',
			'/events',
			array(
				'methods'             => 'POST',
				'callback'            => 'opsmantik_forward_events',
				'permission_callback' => '__return_true', // Every visitor sends these, as to the server itself.
			)
		);
	}
	register_rest_route(
		'opsmantik/v1',
		'/call-event',
		array(
			'methods'             => 'POST',
			'callback'            => 'opsmantik_call_route',
			'permission_callback' => 'opsmantik_may_report', // What is signed must come from somebody who is known.
		)
	);
}

/**
 * Forwards one body of events.
 *
 * @param WP_REST_Request $request The visitor's request.
 * @return WP_REST_Response
 */
function opsmantik_forward_events( $request ) {
	$settings = opsmantik_settings();
	$body     = (string) $request->get_body();
	if ( strlen( $body ) > OPSMANTIK_LARGEST_BODY ) {
		return opsmantik_raw( 413, '{"ok":false,"error":"too_large"}' );
	}
	$read = json_decode( $body, true );
	$site = is_array( $read ) && isset( $read['site'] ) && is_string( $read['site'] ) ? $read['site'] : '';
	if ( strtolower( str_replace( '-', '', $site ) ) !== $settings['site'] ) {
		return opsmantik_raw( 403, '{"ok":false,"error":"forbidden"}' );
	}
	$headers = array(
		'Content-Type'    => 'text/plain;charset=UTF-8',
		'X-Forwarded-For' => opsmantik_visitor_address(),
	);
	$origin  = $request->get_header( 'origin' );
	if ( is_string( $origin ) && preg_match( '#^(?:https?://[^\s,]{1,260}|null)$#D', $origin ) ) {
		$headers['Origin'] = $origin;
	}
	$agent  = $request->get_header( 'user-agent' );
	$answer = wp_remote_post(
		$settings['server'] . '/v1/events',
		array(
			'body'                => $body,
			'headers'             => $headers,
			'user-agent'          => is_string( $agent ) ? substr( preg_replace( '/[^\x20-\x7e]/', '', $agent ), 0, 512 ) : '',
			'timeout'             => OPSMANTIK_SECONDS,
			'redirection'         => 0,
			'limit_response_size' => OPSMANTIK_LARGEST_BODY,
			'cookies'             => array(),
		)
	);
	if ( is_wp_error( $answer ) ) {
		// The script keeps what it could not deliver, and tries again later.
		return opsmantik_raw( 503, '{"ok":false,"error":"unavailable"}', 'application/json', array( 'Retry-After' => (string) OPSMANTIK_RETRY_AFTER ) );
	}
	$more  = array();
	$after = wp_remote_retrieve_header( $answer, 'retry-after' );
	if ( is_string( $after ) && preg_match( '/^\d{1,6}$/D', $after ) ) {
		$more['Retry-After'] = $after;
	}
	$status = (int) wp_remote_retrieve_response_code( $answer );
	if ( $status < 200 || ( $status >= 300 && $status < 400 ) || $status > 599 ) {
		$status = 502;
	}
	return opsmantik_raw( $status, (string) wp_remote_retrieve_body( $answer ), 'application/json', $more );
}

/**
 * Hands out the server's script, kept for an hour.
 *
 * @return WP_REST_Response
 */
function opsmantik_serve_script() {
	$settings = opsmantik_settings();
	$key      = 'opsmantik_script_' . md5( $settings['server'] );
	$script   = get_transient( $key );
	if ( ! is_string( $script ) || '' === $script ) {
		$answer = wp_remote_get(
			$settings['server'] . '/assets/core.js',
			array(
				'timeout'             => OPSMANTIK_SECONDS,
				'redirection'         => 0,
				'limit_response_size' => OPSMANTIK_LARGEST_SCRIPT,
			)
		);
		$script = is_wp_error( $answer ) || 200 !== (int) wp_remote_retrieve_response_code( $answer ) ? '' : (string) wp_remote_retrieve_body( $answer );
		if ( '' === $script ) {
			return opsmantik_raw( 503, '', 'text/javascript; charset=utf-8', array( 'Cache-Control' => 'no-store' ) );
		}
		set_transient( $key, $script, HOUR_IN_SECONDS );
	}
	return opsmantik_raw( 200, $script, 'text/javascript; charset=utf-8', array( 'Cache-Control' => 'public, max-age=3600' ) );
}

/**
 * The address that this server sees the visitor at. What a visitor writes into a header is not asked; whoever runs this
 * site behind a proxy of their own can say how to read its header, by this filter.
 *
 * @return string
 */
function opsmantik_visitor_address() {
	$seen  = isset( $_SERVER['REMOTE_ADDR'] ) ? (string) $_SERVER['REMOTE_ADDR'] : ''; // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- validated below
	$found = (string) apply_filters( 'opsmantik_visitor_address', $seen );
	return filter_var( $found, FILTER_VALIDATE_IP ) ? $found : '';
}

/**
 * An answer whose body is not to be made JSON of.
 *
 * @param int                   $status HTTP status.
 * @param string                $body   The body as it is.
 * @param string                $type   Content type.
 * @param array<string, string> $more   Other headers.
 * @return WP_REST_Response
 */
function opsmantik_raw( $status, $body, $type = 'application/json', $more = array() ) {
	$answer = new WP_REST_Response( array( 'opsmantik_raw' => $body ), $status );
	$answer->header( 'Content-Type', $type );
	$answer->header( 'X-Content-Type-Options', 'nosniff' );
	foreach ( $more as $name => $value ) {
		$answer->header( $name, $value );
	}
	return $answer;
}

/**
 * Prints such an answer; its headers have been sent by then.
 *
 * @param bool             $served  Whether somebody has printed it already.
 * @param WP_REST_Response $answer  The answer.
 * @param WP_REST_Request  $request The request.
 * @param WP_REST_Server   $server  WordPress' own.
 * @return bool
 */
function opsmantik_serve_raw( $served, $answer, $request, $server ) {
	$data = $answer instanceof WP_REST_Response ? $answer->get_data() : null;
	if ( $served || 0 !== strpos( $request->get_route(), '/opsmantik/v1/' ) || ! is_array( $data ) || ! isset( $data['opsmantik_raw'] ) ) {
		return $served;
	}
	echo $data['opsmantik_raw']; // phpcs:ignore WordPress.Security.EscapeOutput -- a script, or JSON that is not sniffed
	return true;
}
