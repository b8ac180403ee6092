<?php
// As much of WordPress as the plugin asks for, in plain PHP: enough to run it, not to be it. What is printed is escaped as
// WordPress would; requests really go out, by PHP's streams.

define( 'ABSPATH', __DIR__ . '/' );
define( 'HOUR_IN_SECONDS', 3600 );

$GLOBALS['options']    = array();
$GLOBALS['transients'] = array();
$GLOBALS['hooks']      = array();
$GLOBALS['routes']     = array();
$GLOBALS['pages']      = array();
$GLOBALS['settings']   = array();
$GLOBALS['user']       = array();
$GLOBALS['nonce']      = 'good';
$GLOBALS['went']       = array(); // requests that went out: method, url, headers, timeout

function add_action( $hook, $callback, $priority = 10, $arguments = 1 ) {
	$GLOBALS['hooks'][ $hook ][ $priority ][] = $callback;
}
function add_filter( $hook, $callback, $priority = 10, $arguments = 1 ) {
	add_action( $hook, $callback, $priority, $arguments );
}
function hooked( $hook ) {
	$found = $GLOBALS['hooks'][ $hook ] ?? array();
	ksort( $found );
	return $found ? array_merge( ...$found ) : array();
}
function do_action( $hook, ...$arguments ) {
	foreach ( hooked( $hook ) as $callback ) {
		$callback( ...$arguments );
	}
}
function apply_filters( $hook, $value, ...$arguments ) {
	foreach ( hooked( $hook ) as $callback ) {
		$value = $callback( $value, ...$arguments );
	}
	return $value;
}
function get_option( $name, $otherwise = false ) {
	return $GLOBALS['options'][ $name ] ?? $otherwise;
}
function update_option( $name, $value, $autoload = null ) {
	$GLOBALS['options'][ $name ]  = $value;
	$GLOBALS['autoload'][ $name ] = $autoload;
	return true;
}
function delete_option( $name ) {
	unset( $GLOBALS['options'][ $name ] );
}
function get_transient( $name ) {
	return $GLOBALS['transients'][ $name ] ?? false;
}
function set_transient( $name, $value, $seconds ) {
	$GLOBALS['transients'][ $name ] = $value;
}
function delete_transient( $name ) {
	unset( $GLOBALS['transients'][ $name ] );
}
function is_admin() {
	return ! empty( $GLOBALS['user']['in_admin'] );
}
function current_user_can( $capability ) {
	return in_array( $capability, $GLOBALS['user']['can'] ?? array(), true );
}
function esc_attr( $text ) {
	return htmlspecialchars( (string) $text, ENT_QUOTES );
}
function esc_html( $text ) {
	return htmlspecialchars( (string) $text, ENT_QUOTES );
}
function esc_url( $url ) {
	return preg_match( '#^https?://#', $url ) ? str_replace( array( '"', "'", '<', '>', ' ' ), '', $url ) : '';
}
function __( $text, $domain ) {
	return $text;
}
function esc_html__( $text, $domain ) {
	return esc_html( $text );
}
function esc_html_e( $text, $domain ) {
	echo esc_html( $text );
}
function selected( $one, $other ) {
	echo $one === $other ? 'selected' : '';
}
function checked( $is ) {
	echo $is ? 'checked' : '';
}
function submit_button() {
	echo '<button type="submit">Save</button>';
}
function settings_fields( $group ) {
	echo '<input type="hidden" name="option_page" value="' . esc_attr( $group ) . '">';
	wp_nonce_field( $group . '-options' );
}
function wp_nonce_field( $action ) {
	echo '<input type="hidden" name="_wpnonce" value="' . esc_attr( $GLOBALS['nonce'] . ':' . $action ) . '">';
}
function check_admin_referer( $action ) {
	if ( ( $_POST['_wpnonce'] ?? '' ) !== $GLOBALS['nonce'] . ':' . $action ) {
		wp_die( 'nonce', '', array( 'response' => 403 ) );
	}
}
class Died extends Exception {}
function wp_die( $message, $title = '', $arguments = array() ) {
	throw new Died( (string) ( $arguments['response'] ?? 500 ) );
}
class Redirected extends Exception {}
function wp_safe_redirect( $url ) {
	throw new Redirected( $url );
}
function register_setting( $group, $name, $arguments ) {
	$GLOBALS['settings'][ $name ] = $arguments;
}
function add_options_page( $title, $menu, $capability, $slug, $callback ) {
	$GLOBALS['pages'][ $slug ] = array( $capability, $callback );
}
function admin_url( $path ) {
	return 'https://shop.example/wp-admin/' . $path;
}
function rest_url( $path ) {
	return 'https://shop.example/wp-json/' . $path;
}
function sanitize_text_field( $text ) {
	return trim( strip_tags( $text ) );
}
function wp_unslash( $text ) {
	return stripslashes( $text );
}
function wp_parse_url( $url ) {
	return parse_url( $url );
}
function wp_json_encode( $value ) {
	return json_encode( $value );
}
function wp_print_script_tag( $attributes ) {
	$text = '<script';
	foreach ( $attributes as $name => $value ) {
		$text .= true === $value ? " $name" : ' ' . $name . '="' . esc_attr( $value ) . '"';
	}
	echo $text . "></script>\n";
}
function register_rest_route( $space, $route, $arguments ) {
	$GLOBALS['routes'][ $arguments['methods'] . " /$space$route" ] = $arguments;
}

class WP_Error {
	private $code;
	private $message;
	private $data;
	public function __construct( $code, $message = '', $data = array() ) {
		list( $this->code, $this->message, $this->data ) = array( $code, $message, $data );
	}
	public function get_error_code() {
		return $this->code;
	}
	public function get_error_message() {
		return $this->message;
	}
	public function get_error_data() {
		return $this->data;
	}
}
function is_wp_error( $thing ) {
	return $thing instanceof WP_Error;
}
class WP_REST_Request {
	private $route;
	private $body;
	private $headers;
	public function __construct( $route, $body, $headers ) {
		list( $this->route, $this->body, $this->headers ) = array( $route, $body, array_change_key_case( $headers ) );
	}
	public function get_route() {
		return $this->route;
	}
	public function get_body() {
		return $this->body;
	}
	public function get_header( $name ) {
		return $this->headers[ strtolower( $name ) ] ?? null;
	}
}
class WP_REST_Response {
	private $data;
	private $status;
	private $headers = array();
	public function __construct( $data, $status ) {
		list( $this->data, $this->status ) = array( $data, $status );
	}
	public function header( $name, $value ) {
		$this->headers[ $name ] = $value;
	}
	public function get_data() {
		return $this->data;
	}
	public function get_status() {
		return $this->status;
	}
	public function get_headers() {
		return $this->headers;
	}
}

function wp_remote_get( $url, $arguments ) {
	return remote( 'GET', $url, $arguments );
}
function wp_remote_post( $url, $arguments ) {
	return remote( 'POST', $url, $arguments );
}
function remote( $method, $url, $arguments ) {
	$headers           = $arguments['headers'] ?? array();
	$GLOBALS['went'][] = array(
		'method'  => $method,
		'url'     => $url,
		'headers' => $headers,
		'timeout' => $arguments['timeout'],
	);
	$lines             = array();
	foreach ( $headers as $name => $value ) {
		$lines[] = "$name: $value";
	}
	$http   = array(
		'method'          => $method,
		'header'          => $lines,
		'content'         => $arguments['body'] ?? '',
		'timeout'         => $arguments['timeout'],
		'follow_location' => $arguments['redirection'] ? 1 : 0,
		'ignore_errors'   => true,
		'user_agent'      => $arguments['user-agent'] ?? 'WordPress',
	);
	$stream = @fopen( $url, 'r', false, stream_context_create( array( 'http' => $http ) ) );
	if ( false === $stream ) {
		return new WP_Error( 'http_request_failed' );
	}
	$body  = stream_get_contents( $stream, $arguments['limit_response_size'] ?? -1 );
	$state = stream_get_meta_data( $stream );
	if ( $state['timed_out'] ) {
		return new WP_Error( 'http_request_failed' );
	}
	$answer = array( 'headers' => array(), 'body' => $body, 'code' => 0 );
	foreach ( $state['wrapper_data'] as $line ) {
		if ( preg_match( '#^HTTP/\S+ (\d+)#', $line, $found ) ) {
			$answer['code'] = (int) $found[1];
		} elseif ( false !== strpos( $line, ':' ) ) {
			list( $name, $value )                          = explode( ':', $line, 2 );
			$answer['headers'][ strtolower( trim( $name ) ) ] = trim( $value );
		}
	}
	return $answer;
}
function wp_remote_retrieve_header( $answer, $name ) {
	return $answer['headers'][ $name ] ?? '';
}
function wp_remote_retrieve_response_code( $answer ) {
	return $answer['code'];
}
function wp_remote_retrieve_body( $answer ) {
	return $answer['body'];
}
